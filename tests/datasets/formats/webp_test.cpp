#include "datasets/formats/webp.h"

#include <gmock/gmock.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "datasets/formats/image_bytes.h"
#include "datasets/small_sets.h"

namespace softmoe::test {
namespace {

constexpr uint8_t kAnimation = 2;

TEST(Webp, OfAnAnimationIsItsFirstFrame) {
  const auto first = picture(10, 14, 1);
  auto chunks = webp_chunk("ANIM", FileBytes(6, 0));
  append(chunks, webp_frame(first, 4, 2));
  append(chunks, webp_frame(picture(20, 24, 2), 0, 0));
  append(chunks, webp_chunk("EXIF", exif_data(3, ByteOrder::kBig)));
  const auto decoded = decode_webp(extended_webp(24, 20, kAnimation, chunks));
  cv::Mat expected = cv::Mat::zeros(20, 24, CV_8UC3);
  first.copyTo(expected(cv::Rect(4, 2, 14, 10)));
  cv::rotate(expected, expected, cv::ROTATE_180);
  EXPECT_TRUE(same_pixels(decoded, expected));
}

TEST(Webp, NamesBrokenAnimations) {
  EXPECT_THAT(input_error([] { decode_webp(extended_webp(24, 20, kAnimation, {})); }),
              testing::HasSubstr("without frames"));
  const auto outside = webp_frame(picture(10, 14, 1), 16, 2);
  EXPECT_THAT(input_error([&] { decode_webp(extended_webp(24, 20, kAnimation, outside)); }),
              testing::HasSubstr("larger than the picture"));
  EXPECT_THAT(input_error([] {
                decode_webp(extended_webp(24, 20, kAnimation, webp_chunk("ANMF", FileBytes(9))));
              }),
              testing::HasSubstr("no picture"));
}

}  // namespace
}  // namespace softmoe::test
