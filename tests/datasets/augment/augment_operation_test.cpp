#include "datasets/augment/augment_operation.h"

#include "datasets/augment/parity.h"
#include "datasets/small_sets.h"

namespace softmoe {
namespace {

using AugmentOperations = test::AugmentReference;

TEST_F(AugmentOperations, GiveThePixelsOfPillow) {
  for (const auto& row : augment_operations()) {
    const std::string name(row.name);
    auto arguments = numbers("arguments." + name);
    const bool has_argument = row.argument != nullptr;
    ASSERT_EQ(arguments.empty(), !has_argument || name == "GaussianBlurRand") << name;
    if (arguments.empty()) {
      arguments = {0.0};
    }
    int64_t compared = 0;
    for (const std::string source : {"rgb", "gray", "flat"}) {
      for (const auto filter : {Interpolation::kBilinear, Interpolation::kBicubic}) {
        const auto results = name + "." + source + "." + enum_name(filter);
        if (!has(results)) {
          continue;
        }
        const AffineStyle style{.interpolation = filter, .fill = {124, 116, 104}};
        for (size_t i = 0; i < arguments.size(); ++i) {
          const auto original = image(source);
          const auto kept = original.clone();
          const auto result = row.apply(original, arguments[i], style);
          EXPECT_TRUE(test::same_pixels(result, image(at(results)[static_cast<int64_t>(i)])))
              << results << " of " << arguments[i];
          EXPECT_TRUE(test::same_pixels(original, kept)) << name << " changes its argument";
          ++compared;
        }
      }
    }
    EXPECT_TRUE(compared >= 3 || name == "GaussianBlurRand") << name;
  }
}

TEST_F(AugmentOperations, TakeTimmsArgumentsAtEachLevel) {
  const auto levels = numbers("levels");
  for (const auto& row : augment_operations()) {
    if (row.argument == nullptr) {
      continue;
    }
    const auto expected = at("levels." + std::string(row.name));  // [level, 2]
    for (size_t level = 0; level < levels.size(); ++level) {
      for (int64_t sign = 0; sign < 2; ++sign) {
        const double chance = sign == 0 ? 0.0 : 0.75;
        double argument = expected[static_cast<int64_t>(level)][sign].item<double>();
        if (row.name == "GaussianBlurRand") {  // timm draws the radius later, up to twice this
          argument = 0.1 + (2.0 * argument - 0.1) * chance;
        }
        EXPECT_DOUBLE_EQ(row.argument(levels[level], chance, {.pixels = 14, .share = 0.45}),
                         argument)
            << row.name << " at " << levels[level];
      }
    }
  }
}

TEST_F(AugmentOperations, TakeImagesOfAnySize) {
  for (const auto& row : augment_operations()) {
    for (const auto filter : {Interpolation::kBilinear, Interpolation::kBicubic,
                              Interpolation::kNearest, Interpolation::kBox}) {
      for (const auto size : {cv::Size(1, 1), cv::Size(1, 3), cv::Size(4, 1)}) {
        const cv::Mat small(size, CV_8UC3, cv::Scalar(10, 200, 90));
        const double argument = row.argument == nullptr ? 0.0 : row.argument(10, 0.9, {});
        EXPECT_EQ(row.apply(small, argument, {.interpolation = filter}).size(), size) << row.name;
      }
    }
  }
}

TEST(Affine, NearestMovesWholePixels) {
  cv::Mat image(1, 4, CV_8UC1);
  std::iota(image.begin<uint8_t>(), image.end<uint8_t>(), uint8_t{1});
  const AffineStyle style{.interpolation = Interpolation::kNearest, .fill = {9}};
  const cv::Mat moved = affine(image, {.c = 2.0}, style);
  EXPECT_EQ(cv::Mat(moved).reshape(1, 1).at<uint8_t>(0), 3);
  EXPECT_EQ(moved.at<uint8_t>(0, 1), 4);
  EXPECT_EQ(moved.at<uint8_t>(0, 2), 9);
}

}  // namespace
}  // namespace softmoe
