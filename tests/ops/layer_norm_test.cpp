#include "ops/layer_norm.h"

#include "ops/operator_checks.h"
#include "runtime/autocast_guard.h"

namespace softmoe::layer_norm_test {

using test::relative_error;

TEST(LayerNormOp, AgreesOnAllLevelsWithAndWithoutAutocast) {
  at::manual_seed(4);
  const auto x = torch::randn({3, 5, 24}) * 2 + 1;
  const auto weight = torch::randn({24});
  for (const auto& bias : {torch::randn({24}), torch::Tensor()}) {
    const auto expected = torch::layer_norm(x.to(torch::kFloat64), {24}, weight.to(torch::kFloat64),
                                            bias.defined() ? bias.to(torch::kFloat64) : bias, 1e-3);
    for (const auto level : kernels::present_levels()) {
      const kernels::ScopedLevel scoped(level);
      EXPECT_LT(relative_error(layer_norm(x, weight, bias, 1e-3), expected), 1e-6);
      const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
      const auto y = layer_norm(x, weight, bias, 1e-3);
      EXPECT_EQ(y.scalar_type(), torch::kFloat32);
      EXPECT_LT(relative_error(y, expected), 1e-6);
    }
  }
}

TEST(LayerNormOp, BranchHandsItsInputThroughAndIsPreciseForRouting) {
  at::manual_seed(4);
  const auto x = torch::randn({3, 5, 32});
  const auto weight = torch::randn({32});
  const auto expected = layer_norm(x, weight, /*bias=*/{}, 1e-6);
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    const auto routing = layer_norm_branch(x, weight, {}, 1e-6, NormedFor::kRouting);
    EXPECT_EQ(routing.normed.scalar_type(), torch::kFloat32);
    EXPECT_LT(relative_error(routing.normed, expected), 1e-6);
    const auto products = layer_norm_branch(x, weight, {}, 1e-6, NormedFor::kProducts);
    EXPECT_LT(relative_error(products.normed, expected), 4e-3);
    EXPECT_TRUE(test::same_bits(products.skip.detach(), x));
  }
}

}  // namespace softmoe::layer_norm_test
