#include "datasets/augment/random_erasing.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>
#include <vector>

namespace softmoe {
namespace {

constexpr int64_t kChannels = 3;
constexpr int64_t kHeight = 20;
constexpr int64_t kWidth = 24;

std::vector<float> erased(const AugmentOptions& options, uint64_t key) {
  std::vector<float> image(kChannels * kHeight * kWidth, 100.0F);
  Rng rng(key);
  erase_random(options, kChannels, kHeight, kWidth, rng, image.data());
  return image;
}

/// The values that replaced those of a channel.
std::vector<float> replaced(const std::vector<float>& image, int64_t channel) {
  std::vector<float> values;
  const auto plane = image.begin() + channel * kHeight * kWidth;
  std::copy_if(plane, plane + kHeight * kWidth, std::back_inserter(values),
               [](float value) { return value != 100.0F; });
  return values;
}

TEST(RandomErasing, ErasesRectanglesOfTheGivenShare) {
  int erased_images = 0;
  for (uint64_t key = 0; key < 2000; ++key) {
    const auto image = erased({.reprob = 0.3, .remode = EraseMode::kConst}, key);
    const auto values = replaced(image, 0);
    EXPECT_EQ(replaced(image, 2).size(), values.size());
    if (values.empty()) {
      continue;
    }
    ++erased_images;
    const double share = static_cast<double>(values.size()) / (kHeight * kWidth);
    EXPECT_GE(share, 0.012);  // rounded sides
    EXPECT_LE(share, 0.37);
    EXPECT_EQ(std::set<float>(values.begin(), values.end()), std::set<float>{0.0F});
  }
  EXPECT_NEAR(erased_images, 600, 90);
}

TEST(RandomErasing, FillsByItsMode) {
  const auto color = erased({.reprob = 1.0, .remode = EraseMode::kRand}, 3);
  const auto red = replaced(color, 0);
  const auto blue = replaced(color, 2);
  ASSERT_GT(red.size(), 4);
  EXPECT_EQ(std::set<float>(red.begin(), red.end()).size(), 1);
  EXPECT_NE(red.front(), blue.front());
  const auto noise = replaced(erased({.reprob = 1.0, .remode = EraseMode::kPixel}, 3), 1);
  EXPECT_EQ(std::set<float>(noise.begin(), noise.end()).size(), noise.size());
}

TEST(RandomErasing, SharesTheAreaAmongRectangles) {
  double one = 0.0;
  double many = 0.0;
  for (uint64_t key = 0; key < 400; ++key) {
    one += static_cast<double>(replaced(erased({.reprob = 1.0}, key), 0).size());
    many += static_cast<double>(replaced(erased({.reprob = 1.0, .recount = 4}, key), 0).size());
  }
  EXPECT_NEAR(many / one, 0.95, 0.12);  // rectangles may overlap
}

TEST(RandomErasing, DrawsNothingIfItIsOff) {
  Rng rng(5);
  Rng untouched(5);
  float pixel = 1.0F;
  erase_random({}, 1, 1, 1, rng, &pixel);
  EXPECT_EQ(rng(), untouched());
}

TEST(RandomErasing, LeavesImagesThatAreTooSmall) {
  float pixel = 1.0F;
  for (uint64_t key = 0; key < 50; ++key) {
    Rng rng(key);
    erase_random({.reprob = 1.0}, 1, 1, 1, rng, &pixel);
  }
  EXPECT_TRUE(std::isfinite(pixel));
}

}  // namespace
}  // namespace softmoe
