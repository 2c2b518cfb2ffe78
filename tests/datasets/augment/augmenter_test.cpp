#include "datasets/augment/augmenter.h"

#include <gmock/gmock.h>

#include "datasets/augment/gaussian_blur.h"
#include "datasets/augment/hue.h"
#include "datasets/augment/image_operations.h"
#include "datasets/augment/parity.h"
#include "datasets/small_sets.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using JitterReference = test::AugmentReference;

Augmenter augmenter_of(const AugmentOptions& options) {
  return {options, 32, {0.5, 0.5, 0.5}, Interpolation::kBilinear};
}

/// Shares of 400 images that `options` change.
double changed_share(const AugmentOptions& options) {
  const auto augmenter = augmenter_of(options);
  const auto image = test::picture(24, 32, 3);
  int changed = 0;
  for (uint64_t key = 0; key < 400; ++key) {
    Rng rng(key);
    changed += test::same_pixels(augmenter.apply(image, rng), image) ? 0 : 1;
  }
  return changed / 400.0;
}

TEST_F(JitterReference, HueTurnsAsInTorchvision) {
  const auto factors = numbers("hue.factors");
  for (size_t i = 0; i < factors.size(); ++i) {
    EXPECT_TRUE(test::same_pixels(adjust_hue(image("rgb"), factors[i]),
                                  AugmentReference::image(at("hue")[static_cast<int64_t>(i)])))
        << factors[i];
  }
}

TEST_F(JitterReference, GrayHasPillowsLuma) {
  EXPECT_TRUE(
      test::same_pixels(as_rgb(luma(image("rgb"))), AugmentReference::image(at("grayscale"))));
}

TEST_F(JitterReference, BlurIsTorchvisions) {
  const auto sigmas = numbers("blur.sigmas");
  for (size_t i = 0; i < sigmas.size(); ++i) {
    // Sums of floats are rounded to whole numbers: those near a half may differ by one.
    EXPECT_LE(test::max_difference(sampled_gaussian_blur(image("rgb"), sigmas[i]),
                                   AugmentReference::image(at("blur")[static_cast<int64_t>(i)])),
              1.0)
        << sigmas[i];
  }
}

TEST(Augmenter, DoesNothingByDefault) {
  const auto augmenter = augmenter_of({});
  EXPECT_TRUE(augmenter.is_empty());
  EXPECT_THAT(augmenter.steps(), ElementsAre());
}

TEST(Augmenter, NamesItsStepsInTheirOrder) {
  const auto augmenter = augmenter_of({.aa = "3a",
                                       .color_jitter = {0.3},
                                       .color_jitter_prob = 0.8,
                                       .grayscale_prob = 0.2,
                                       .gaussian_blur_prob = 0.1});
  EXPECT_THAT(augmenter.steps(), ElementsAre("autoaug(3a)", "color_jitter(0.3,p=0.8)",
                                             "grayscale(0.2)", "gaussian_blur(0.1)"));
}

TEST(Augmenter, JittersBesidePoliciesOnlyIfTheyAre3Augment) {
  const auto steps = [](const std::string& policy) {
    return augmenter_of({.aa = policy, .color_jitter = {0.4}}).steps().size();
  };
  EXPECT_EQ(steps(""), 1);
  EXPECT_EQ(steps("rand-m9"), 1);
  EXPECT_EQ(steps("rand-m9-t3a"), 2);
  EXPECT_EQ(steps("3a"), 2);
}

TEST(Augmenter, AppliesStepsWithTheirProbabilities) {
  EXPECT_NEAR(changed_share({.grayscale_prob = 0.3}), 0.3, 0.1);
  EXPECT_NEAR(changed_share({.gaussian_blur_prob = 1.0}), 1.0, 0.2);  // 0.1 px change nothing
  EXPECT_NEAR(changed_share({.color_jitter = {0.5}, .color_jitter_prob = 0.25}), 0.25, 0.1);
  EXPECT_NEAR(changed_share({.color_jitter = {0.5, 0.5, 0.5, 0.2}}), 1.0, 0.02);
  EXPECT_EQ(changed_share({.color_jitter = {0.0, 0.0, 0.0}}), 0.0);
}

TEST(Augmenter, JitterOfBrightnessKeepsToItsRange) {
  const auto augmenter = augmenter_of({.color_jitter = {0.25, 0.0, 0.0}});
  const cv::Mat image(2, 2, CV_8UC3, cv::Scalar(100, 100, 100));
  int min = 255;
  int max = 0;
  for (uint64_t key = 0; key < 500; ++key) {
    Rng rng(key);
    const int pixel = augmenter.apply(image, rng).at<cv::Vec3b>(1, 1)[2];
    min = std::min(min, pixel);
    max = std::max(max, pixel);
  }
  EXPECT_NEAR(min, 75, 1);
  EXPECT_NEAR(max, 124, 1);
}

TEST(Augmenter, RejectsJitterOfNoMeaning) {
  const auto error = [](std::vector<double> jitter) {
    return test::input_error([&] { augmenter_of({.color_jitter = std::move(jitter)}); });
  };
  EXPECT_EQ(error({0.1, 0.2}),
            "color-jitter: expected 1, 3 or 4 values that are not negative, the fourth up to 0.5, "
            "found '0.1 0.2'");
  EXPECT_NE(error({0.1, 0.1, 0.1, 0.6}), "");
  EXPECT_NE(error({std::nan("")}), "");
}

}  // namespace
}  // namespace softmoe
