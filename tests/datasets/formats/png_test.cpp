#include "datasets/formats/png.h"

#include <gmock/gmock.h>

#include <opencv2/imgcodecs.hpp>

#include "datasets/formats/image_bytes.h"
#include "datasets/image_file.h"
#include "datasets/small_sets.h"

namespace softmoe::test {
namespace {

FileBytes stored_png(const cv::Mat& image, const std::vector<int>& parameters = {}) {
  FileBytes bytes;
  cv::imencode(".png", image, bytes, parameters);
  return bytes;
}

TEST(Png, KeepsTheUpperBitsOfSixteen) {
  const cv::Mat wide(3, 5, CV_16UC3, cv::Scalar(0x12FF, 0x3480, 0x5600));  // blue, green, red
  const cv::Mat expected(3, 5, CV_8UC3, cv::Scalar(0x56, 0x34, 0x12));
  EXPECT_TRUE(same_pixels(decode_png(stored_png(wide)), expected));
  const cv::Mat gray(3, 5, CV_16UC1, cv::Scalar(0x7FFF));
  EXPECT_EQ(decode_png(stored_png(gray)).at<cv::Vec3b>(1, 1), cv::Vec3b(0x7F, 0x7F, 0x7F));
}

TEST(Png, DropsTransparency) {
  const cv::Mat clear(3, 5, CV_8UC4, cv::Scalar(10, 20, 30, 0));
  EXPECT_EQ(decode_png(stored_png(clear)).at<cv::Vec3b>(2, 4), cv::Vec3b(30, 20, 10));
}

TEST(Png, OfOneBitIsBlackAndWhite) {
  cv::Mat checks(4, 9, CV_8UC1, cv::Scalar(0));
  checks.at<uint8_t>(1, 2) = 255;
  const auto decoded = decode_png(stored_png(checks, {cv::IMWRITE_PNG_BILEVEL, 1}));
  EXPECT_EQ(decoded.at<cv::Vec3b>(1, 2), cv::Vec3b(255, 255, 255));
  EXPECT_EQ(cv::countNonZero(decoded.reshape(1)), 3);
}

/// A PNG file of a palette of two colours, of which the second is transparent.
TEST(Png, OfAPaletteHasItsColours) {
  cv::Mat indices(2, 8, CV_8UC1, cv::Scalar(0));
  indices.at<uint8_t>(1, 3) = 1;
  auto bytes = stored_png(indices);  // gray, 8 bits
  auto header = number_bytes(8, 4);
  append(header, number_bytes(2, 4));
  append(header, {8, 3, 0, 0, 0});
  bytes = png_with(bytes, "tRNS", {255, 0});
  bytes = png_with(bytes, "PLTE", {1, 2, 3, 200, 100, 50});
  const auto with_header = png_with(bytes, "IHDR", header);
  FileBytes palette(with_header.begin(), with_header.begin() + 8);
  palette.insert(palette.end(), with_header.begin() + 33, with_header.end());
  const auto decoded = decode_png(palette);
  EXPECT_EQ(decoded.at<cv::Vec3b>(0, 0), cv::Vec3b(1, 2, 3));
  EXPECT_EQ(decoded.at<cv::Vec3b>(1, 3), cv::Vec3b(200, 100, 50));
}

TEST(Png, WithOddColourProfilesSaysNothing) {
  const auto bytes = png_with(encode_png(picture(4, 6, 1)), "iCCP", joined("odd profile"));
  testing::internal::CaptureStderr();
  EXPECT_TRUE(same_pixels(decode_png(bytes), picture(4, 6, 1)));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace softmoe::test
