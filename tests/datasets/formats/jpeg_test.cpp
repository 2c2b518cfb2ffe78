#include "datasets/formats/jpeg.h"

#include <gtest/gtest.h>

#include <array>

#include "core/error.h"
#include "core/rng.h"
#include "datasets/formats/image_bytes.h"
#include "datasets/small_sets.h"

namespace softmoe::test {
namespace {

// The RGB values are those of Pillow's convert("RGB").
TEST(Jpeg, OfFourColoursIsInvertedWithAndWithoutAdobesMarker) {
  const std::array<uint8_t, 4> colour{200, 100, 50, 220};
  const cv::Mat expected(8, 16, CV_8UC3, cv::Scalar(173, 86, 43));
  for (const auto& bytes : {four_colour_jpeg(colour, FourColours::kCmyk, true),
                            four_colour_jpeg(colour, FourColours::kCmyk, false),
                            four_colour_jpeg(colour, FourColours::kYcck, true)}) {
    const auto decoded = decode_jpeg(bytes);
    ASSERT_EQ(decoded.size(), expected.size());
    EXPECT_LE(cv::norm(decoded, expected, cv::NORM_INF), 2.0);
  }
}

FileBytes with_orientation(const FileBytes& jpeg, int orientation) {
  return jpeg_with(jpeg, joined({"Exif\0\0", 6}, exif_data(orientation, ByteOrder::kLittle)));
}

/// The request for `rect`; it is resized to `height` x `width` if that matters.
PartRequest request_for(const cv::Rect& rect, int height = 1, int width = 1) {
  PartRequest request;
  request.choose_box = [rect](int, int) {
    return Box{static_cast<double>(rect.x), static_cast<double>(rect.y),
               static_cast<double>(rect.x + rect.width), static_cast<double>(rect.y + rect.height)};
  };
  request.height = height;
  request.width = width;
  return request;
}

/// The pixels of the box of `part`, which lies on whole pixels.
cv::Mat pixels_of(const PicturePart& part) {
  const auto& box = part.box;
  return part.image(cv::Rect(cv::Point(static_cast<int>(box.left), static_cast<int>(box.top)),
                             cv::Point(static_cast<int>(box.right), static_cast<int>(box.bottom))));
}

const std::vector<JpegStyle> kStyles{{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}, {2, 2, true}};

TEST(Jpeg, PartsHaveThePixelsOfTheWhole) {
  const auto image = picture(83, 149, 3);
  Rng rng(4);
  for (const auto& style : kStyles) {
    const auto bytes = styled_jpeg(image, style);
    const auto whole = decode_jpeg(bytes);
    for (int attempt = 0; attempt < 60; ++attempt) {
      const int width = 1 + static_cast<int>(rng.below(149));
      const int height = 1 + static_cast<int>(rng.below(83));
      const cv::Rect rect(static_cast<int>(rng.below(150 - width)),
                          static_cast<int>(rng.below(84 - height)), width, height);
      const auto part = decode_jpeg_part(bytes, request_for(rect));
      ASSERT_TRUE(same_pixels(pixels_of(part), whole(rect)))
          << style.across << " x " << style.down << ": " << rect;
    }
  }
}

TEST(Jpeg, PartsOfTurnedPicturesAreTurned) {
  const auto jpeg = styled_jpeg(picture(83, 149, 3), {});
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto bytes = with_orientation(jpeg, orientation);
    const auto whole = decode_jpeg(bytes);
    const cv::Rect rect(31, 42, 37, 26);
    auto request = request_for(rect);
    cv::Size size;
    request.choose_box = [&, choose = request.choose_box](int height, int width) {
      size = {width, height};
      return choose(height, width);
    };
    const auto part = decode_jpeg_part(bytes, request);
    EXPECT_EQ(size, whole.size());
    EXPECT_TRUE(same_pixels(pixels_of(part), whole(rect))) << orientation;
    EXPECT_LT(part.image.total(), whole.total() / 3);
  }
}

TEST(Jpeg, ScaledPartsAreTheSmallestThatAreLargeEnough) {
  const auto bytes = styled_jpeg(picture(400, 640, 5), {});
  auto request = request_for({100, 60, 320, 240}, 60, 80);
  EXPECT_EQ(pixels_of(decode_jpeg_part(bytes, request)).size(), cv::Size(320, 240));
  request.is_scalable = true;
  EXPECT_EQ(pixels_of(decode_jpeg_part(bytes, request)).size(), cv::Size(80, 60));
  request.width = 81;
  EXPECT_EQ(pixels_of(decode_jpeg_part(bytes, request)).size(), cv::Size(160, 120));
  request.height = 121;
  EXPECT_EQ(pixels_of(decode_jpeg_part(bytes, request)).size(), cv::Size(320, 240));
  request.height = request.width = 1;
  EXPECT_EQ(pixels_of(decode_jpeg_part(bytes, request)).size(), cv::Size(40, 30));
}

TEST(Jpeg, ScaledPartsShowTheSamePlace) {
  // A smooth picture whose colours tell places, so that a shift by a pixel would show.
  cv::Mat image(415, 621, CV_8UC3);  // not whole blocks
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      image.at<cv::Vec3b>(y, x) = cv::Vec3b(static_cast<uint8_t>(x * 250 / image.cols),
                                            static_cast<uint8_t>(y * 250 / image.rows), 90);
    }
  }
  const auto jpeg = styled_jpeg(image, {});
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto bytes = with_orientation(jpeg, orientation);
    auto request = request_for({71, 95, 273, 301}, 33, 34);
    const auto exact = decode_jpeg_part(bytes, request);
    request.is_scalable = true;
    const auto scaled = decode_jpeg_part(bytes, request);
    EXPECT_LT(scaled.image.total(), exact.image.total() / 40);
    const auto small = [](const PicturePart& part) {
      return resize_box(part.image, part.box, 33, 34, Interpolation::kBilinear);
    };
    // A pixel of the eighth is 8 x 250 / 621 = 3 of 255.
    EXPECT_LE(cv::norm(small(scaled), small(exact), cv::NORM_INF), 2.0) << orientation;
  }
}

TEST(Jpeg, PartsWithSurroundingsAreWhole) {
  const auto bytes = styled_jpeg(picture(83, 149, 3), {});
  auto request = request_for({30, 20, 10, 12});
  request.surroundings = Surroundings::kSeen;
  const auto part = decode_jpeg_part(bytes, request);
  EXPECT_TRUE(same_pixels(part.image, decode_jpeg(bytes)));
  EXPECT_EQ(part.box.left, 30);
}

TEST(Jpeg, DamageIsNoticedDownToThePart) {
  const auto bytes = styled_jpeg(picture(200, 160, 6), {});
  const FileBytes half(bytes.begin(), bytes.begin() + std::ssize(bytes) / 2);
  EXPECT_THROW(decode_jpeg_part(half, request_for({10, 150, 40, 40})), InputError);
  EXPECT_NO_THROW(decode_jpeg_part(half, request_for({10, 5, 40, 40})));
}

}  // namespace
}  // namespace softmoe::test
