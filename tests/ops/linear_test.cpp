#include "ops/linear.h"

#include "ops/operator_checks.h"
#include "runtime/autocast_guard.h"

namespace softmoe::linear_test {

using test::relative_error;

TEST(LinearOp, ExactOneIsFp32UnderAutocastOnAllLevels) {
  at::manual_seed(4);
  // Sizes of whole vectors, and others.
  for (const auto& [inputs, outputs] : {std::pair{48, 16}, {13, 5}}) {
    const auto x = torch::randn({2, 7, inputs});
    const auto weight = torch::randn({outputs, inputs});
    const auto expected = x.to(torch::kFloat64).matmul(weight.to(torch::kFloat64).t());
    for (const auto level : kernels::present_levels()) {
      const kernels::ScopedLevel scoped(level);
      const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
      const auto y = exact_linear(x, weight);
      EXPECT_EQ(y.scalar_type(), torch::kFloat32);
      EXPECT_LT(relative_error(y, expected), 1e-6);
      EXPECT_EQ(exact_linear(x.to(torch::kBFloat16), weight).scalar_type(), torch::kFloat32);
      EXPECT_LT(relative_error(exact_linear(x.to(torch::kFloat64), weight), expected), 1e-14);
    }
  }
}

TEST(LinearOp, FollowsAutocast) {
  at::manual_seed(4);
  const auto x = torch::randn({4, 6});
  const auto weight = torch::randn({3, 6});
  const auto bias = torch::randn({3});
  EXPECT_TRUE(test::all_close(linear(x, weight, bias), x.matmul(weight.t()) + bias));
  EXPECT_TRUE(test::all_close(linear(x, weight, torch::Tensor()), x.matmul(weight.t())));
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  EXPECT_EQ(linear(x, weight, bias).scalar_type(), torch::kBFloat16);
}

}  // namespace softmoe::linear_test
