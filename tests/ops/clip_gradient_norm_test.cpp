#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/optimizer_update.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

TEST(ClipGradientNorm, ReturnsTheNormAndScalesOnlyAboveTheBound) {
  const std::vector<torch::Tensor> original{torch::tensor({3.0F, 0.0F}), torch::tensor({{4.0F}})};
  const auto clone = [&original] {
    return std::vector<torch::Tensor>{original[0].clone(), original[1].clone()};
  };
  auto clipped = clone();
  EXPECT_FLOAT_EQ(clip_gradient_norm(clipped, 1.0).item<float>(), 5.0F);
  EXPECT_TRUE(test::all_close(clipped[0], original[0] / 5));
  EXPECT_TRUE(test::all_close(clipped[1], original[1] / 5));
  for (const double bound : {5.5, 0.0}) {
    auto kept = clone();
    EXPECT_FLOAT_EQ(clip_gradient_norm(kept, bound).item<float>(), 5.0F);
    EXPECT_TRUE(test::same_bits(kept[0], original[0]));
    EXPECT_TRUE(test::same_bits(kept[1], original[1]));
  }
}

TEST(ClipGradientNorm, AgreesForAnyLayoutAndManyElements) {
  at::manual_seed(4);
  const auto large = torch::randn({3, 20011});
  const auto small = torch::randn({7});
  const double expected = torch::cat({large.flatten(), small}).norm().item<double>();
  for (const auto& view : {large, large.t()}) {
    const std::vector<torch::Tensor> gradients{view.clone(at::MemoryFormat::Preserve),
                                               small.clone()};
    const auto norm = clip_gradient_norm(gradients, 0.5);
    EXPECT_NEAR(norm.item<double>(), expected, 1e-5 * expected);
    EXPECT_TRUE(test::all_close(gradients[0], view * (0.5 / expected)));
    EXPECT_TRUE(test::all_close(gradients[1], small * (0.5 / expected)));
  }
}

TEST(ClipGradientNorm, OfNothingIsZero) {
  EXPECT_EQ(clip_gradient_norm({}, 1.0).item<float>(), 0.0F);
}

TEST(ClipGradientNorm, NamesNotANumber) {
  const auto bad = torch::tensor({1.0F, std::numeric_limits<float>::quiet_NaN()});
  EXPECT_TRUE(std::isnan(clip_gradient_norm({bad}, 1.0).item<float>()));
}

}  // namespace
}  // namespace softmoe
