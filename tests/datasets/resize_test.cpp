#include "datasets/resize.h"

#include <gmock/gmock.h>

#include <opencv2/core.hpp>

#include "datasets/small_sets.h"

namespace softmoe {
namespace {

using testing::ElementsAre;

cv::Mat one_row(const std::vector<uint8_t>& pixels) {
  return cv::Mat(1, static_cast<int>(pixels.size()), CV_8UC1, const_cast<uint8_t*>(pixels.data()))
      .clone();
}

std::vector<int> values_of(const cv::Mat& image, int y = 0) {
  return {image.ptr(y), image.ptr(y) + image.cols * image.channels()};
}

Box whole_box(const cv::Mat& image) {
  return {0, 0, static_cast<double>(image.cols), static_cast<double>(image.rows)};
}

TEST(Resize, BilinearEnlargesByHandComputedWeights) {
  const auto image = one_row({0, 100});
  EXPECT_THAT(values_of(resize_box(image, whole_box(image), 1, 4, Interpolation::kBilinear)),
              ElementsAre(0, 25, 75, 100));
}

TEST(Resize, BilinearWidensWhenItShrinks) {
  const auto image = one_row({0, 70, 140, 210});
  // Weights 3/4, 3/4, 1/4 over 7/4.
  EXPECT_THAT(values_of(resize_box(image, whole_box(image), 1, 2, Interpolation::kBilinear)),
              ElementsAre(50, 160));
}

TEST(Resize, BoxTakesTheMean) {
  const auto image = one_row({0, 70, 140, 211});
  EXPECT_THAT(values_of(resize_box(image, whole_box(image), 1, 2, Interpolation::kBox)),
              ElementsAre(35, 176));
}

TEST(Resize, BicubicEnlargesByHandComputedWeights) {
  const auto image = one_row({0, 0, 160, 160});
  // A centre a quarter of a pixel left of the edge: distances 1.25, 0.25, 0.75, 1.75 weigh
  // -0.0703, 0.8672, 0.2266, -0.0234.
  const auto row = values_of(resize_box(image, whole_box(image), 1, 8, Interpolation::kBicubic));
  EXPECT_EQ(row[3], 33);  // 160 (0.2266 - 0.0234) = 32.5
  EXPECT_EQ(row[4], 128);
  EXPECT_EQ(row[2], 0);  // the kernel undershoots there: -11.25 is cut to black
  EXPECT_EQ(row[5], 171);
}

TEST(Resize, NearestTakesTheMiddle) {
  const auto image = one_row({1, 2, 3, 4, 5, 6});
  EXPECT_THAT(values_of(resize_box(image, whole_box(image), 1, 2, Interpolation::kNearest)),
              ElementsAre(2, 5));
}

TEST(Resize, IgnoresWhatLiesOutsideTheBoxUnlessToldOtherwise) {
  const auto image = one_row({255, 10, 20, 30, 40, 255});
  const Box box{1, 0, 5, 1};
  EXPECT_THAT(values_of(resize_box(image, box, 1, 2, Interpolation::kBilinear)),
              ElementsAre(17, 33));  // (7.5 + 15 + 7.5) / 1.75 and its mirror image
  EXPECT_THAT(
      values_of(resize_box(image, box, 1, 2, Interpolation::kBilinear, Surroundings::kSeen)),
      ElementsAre(47, 61));  // (63.75 + 7.5 + 15 + 7.5) / 2, (5 + 22.5 + 30 + 63.75) / 2
}

TEST(Resize, TreatsChannelsAndAxesAlike) {
  const auto image = test::picture(11, 7, 3);
  const auto resized = resize_box(image, whole_box(image), 5, 9, Interpolation::kBicubic);
  ASSERT_EQ(resized.size(), cv::Size(9, 5));
  for (int channel = 0; channel < 3; ++channel) {
    cv::Mat plane;
    cv::Mat turned;
    cv::extractChannel(image, plane, channel);
    cv::transpose(plane, turned);
    auto alone = resize_box(turned, whole_box(turned), 9, 5, Interpolation::kBicubic);
    cv::transpose(alone, alone);
    cv::Mat together;
    cv::extractChannel(resized, together, channel);
    // The passes run in the other order and round in between.
    EXPECT_LE(cv::norm(together, alone, cv::NORM_INF), 1.0);
  }
}

}  // namespace
}  // namespace softmoe
