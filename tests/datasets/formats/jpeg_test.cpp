#include "datasets/formats/jpeg.h"

#include <gtest/gtest.h>

#include <array>

#include "datasets/formats/image_bytes.h"

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

}  // namespace
}  // namespace softmoe::test
