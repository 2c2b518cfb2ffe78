#include "eval/features.h"

#include "core/error.h"
#include "eval/gray_images.h"
#include "runtime/device.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::gray_transform;
using test::GrayImages;
using test::kClasses;
using test::kImages;
using test::on;
using test::same_bits;
using test::small_batches;

TEST(Features, ComeInTheOrderOfTheSetWithTheirLabels) {
  const GrayImages images;
  for (const auto& device : present_devices()) {
    Loader loader(images, gray_transform(), small_batches());
    const auto set = extract_features(pixel_features, loader, "gray", on(device));
    EXPECT_EQ(set.name, "gray");
    const auto brightness = torch::arange(kImages, torch::kFloat32).mul(20.0 / 255).unsqueeze(1);
    EXPECT_TRUE(all_close(set.features, brightness.expand({kImages, 4 * 6})));
    EXPECT_TRUE(same_bits(set.labels, torch::arange(kImages, torch::kInt64).remainder(kClasses)));
  }
}

TEST(Features, LeaveOutWhatCannotBeRead) {
  const GrayImages images({0, 5});
  Loader loader(images, gray_transform(), small_batches());
  const auto set = extract_features(pixel_features, loader, "gray", on(torch::kCPU));
  EXPECT_TRUE(same_bits(set.labels, torch::tensor({1, 2, 0, 1, 0, 1, 2, 0, 1}, torch::kInt64)));
}

TEST(Features, ThatAreNotFiniteAreAnError) {
  const GrayImages images;
  Loader loader(images, gray_transform(), small_batches());
  const Forward forward = [](const torch::Tensor& batch) { return batch.flatten(1).log(); };
  try {
    extract_features(forward, loader, "gray", on(torch::kCPU));
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "gray: features: expected finite numbers, found NaN or infinity in 1 of 11 rows, "
                 "first in row 0");
  }
}

}  // namespace
}  // namespace softmoe
