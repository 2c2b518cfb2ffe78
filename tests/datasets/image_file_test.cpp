#include "datasets/image_file.h"

#include <gmock/gmock.h>

#include <opencv2/imgproc.hpp>

#include "datasets/jpeg.h"
#include "datasets/small_sets.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::input_error;
using test::jpeg_bytes;
using test::picture;
using test::same_pixels;
using test::TemporaryFolder;
using test::write_file;
using testing::HasSubstr;

struct BadFile {
  const char* name;
  std::vector<uint8_t> bytes;
};

void PrintTo(const BadFile& image, std::ostream* out) { *out << image.name; }

class BadImageFile : public testing::TestWithParam<BadFile> {};

TEST_P(BadImageFile, IsNamed) {
  const TemporaryFolder folder;
  const auto file = folder / "bad.img.jpg";
  write_file(file, GetParam().bytes);
  const auto message = input_error([&] { load_image(file); });
  EXPECT_THAT(message, HasSubstr(file.string()));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

std::vector<uint8_t> first_part(std::vector<uint8_t> bytes, double share) {
  bytes.resize(static_cast<size_t>(share * static_cast<double>(bytes.size())));
  return bytes;
}

std::vector<uint8_t> end_marker_inside(std::vector<uint8_t> bytes) {
  bytes[bytes.size() * 2 / 3] = 0xFF;
  bytes[bytes.size() * 2 / 3 + 1] = 0xD9;
  return bytes;
}

std::vector<uint8_t> png_with_flipped_bit(std::vector<uint8_t> bytes) {
  bytes[bytes.size() / 2] ^= 0x10;
  return bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadImageFile,
    testing::Values(
        BadFile{"Empty", {}}, BadFile{"Text", {'n', 'o', ' ', 'i', 'm', 'a', 'g', 'e', '\n'}},
        BadFile{"JpegHeaderAlone", {0xFF, 0xD8, 0xFF, 0xE0}},
        BadFile{"JpegWithoutItsEnd", first_part(jpeg_bytes(picture(48, 64, 1)), 0.97)},
        BadFile{"HalfAJpeg", first_part(jpeg_bytes(picture(48, 64, 1)), 0.5)},
        BadFile{"JpegThatEndsInside", end_marker_inside(jpeg_bytes(picture(48, 64, 1)))},
        BadFile{"PngWithoutItsEnd", first_part(encode_png(picture(48, 64, 1)), 0.999)},
        BadFile{"PngSignatureAlone", first_part(encode_png(picture(48, 64, 1)), 0.0015)},
        BadFile{"HalfAPng", first_part(encode_png(picture(48, 64, 1)), 0.5)},
        BadFile{"DamagedPng", png_with_flipped_bit(encode_png(picture(48, 64, 1)))}),
    [](const auto& test) { return test.param.name; });

TEST(Jpeg, IsDecodedAsRgb) {
  cv::Mat image(16, 24, CV_8UC3, cv::Scalar(250, 60, 10));
  const auto decoded = decode_image(jpeg_bytes(image), "image");
  EXPECT_LE(cv::norm(decoded, image, cv::NORM_INF), 4.0);
}

TEST(Jpeg, GrayFilesGetThreeChannels) {
  const cv::Mat gray(8, 8, CV_8UC1, cv::Scalar(90));
  const auto decoded = decode_image(encode_png(gray), "image");
  EXPECT_EQ(decoded.at<cv::Vec3b>(3, 3), cv::Vec3b(90, 90, 90));
}

/// An APP1 segment with one entry, the orientation, in the given byte order.
std::vector<uint8_t> exif_segment(uint8_t orientation, bool little) {
  std::vector<uint8_t> body = {'E', 'x', 'i', 'f', 0, 0};
  if (little) {
    test::append(body, {'I', 'I', 42, 0, 8, 0,           0, 0, 1, 0, 0x12, 0x01, 3,
                        0,   1,   0,  0, 0, orientation, 0, 0, 0, 0, 0,    0,    0});
  } else {
    test::append(body, {'M', 'M', 0, 42, 0, 0, 0,           8, 0, 1, 0x01, 0x12, 0,
                        3,   0,   0, 0,  1, 0, orientation, 0, 0, 0, 0,    0,    0});
  }
  return body;
}

/// What each EXIF orientation asks for.
cv::Mat turned(const cv::Mat& stored, int orientation) {
  cv::Mat image;
  switch (orientation) {
    case 2:
      cv::flip(stored, image, 1);
      break;
    case 3:
      cv::rotate(stored, image, cv::ROTATE_180);
      break;
    case 4:
      cv::flip(stored, image, 0);
      break;
    case 5:
      cv::transpose(stored, image);
      break;
    case 6:
      cv::rotate(stored, image, cv::ROTATE_90_CLOCKWISE);
      break;
    case 7:
      cv::rotate(stored.t(), image, cv::ROTATE_180);
      break;
    case 8:
      cv::rotate(stored, image, cv::ROTATE_90_COUNTERCLOCKWISE);
      break;
    default:
      image = stored;
  }
  return image;
}

TEST(Jpeg, IsTurnedUpright) {
  const auto plain = jpeg_bytes(picture(32, 48, 6));
  const auto stored = decode_image(plain, "image");
  for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
    const auto body = exif_segment(orientation, orientation % 2 == 0);
    std::vector<uint8_t> bytes = {0xFF, 0xD8, 0xFF, 0xE1, 0, static_cast<uint8_t>(body.size() + 2)};
    test::append(bytes, body);
    bytes.insert(bytes.end(), plain.begin() + 2, plain.end());
    const auto decoded = decode_image(bytes, "image");
    EXPECT_TRUE(same_pixels(decoded, turned(stored, orientation))) << int{orientation};
  }
}

TEST(Jpeg, DamagedExifSaysNoOrientation) {
  auto body = exif_segment(6, true);
  EXPECT_EQ(exif_orientation(body), 6);
  body[10] = 0xF0;  // the directory would lie behind the end
  body[11] = 0xFF;
  EXPECT_EQ(exif_orientation(body), 1);
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(exif_orientation(std::span(body).first(size)), 1);
  }
}

}  // namespace
}  // namespace softmoe
