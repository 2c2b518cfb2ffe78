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

TEST(LinearOp, AgreesOnAllLevelsWithAndWithoutAutocast) {
  at::manual_seed(4);
  const auto x = torch::randn({2, 7, 13});
  const auto weight = torch::randn({37, 13});
  for (const auto& bias : {torch::randn({37}), torch::Tensor()}) {
    const auto product = x.to(torch::kFloat64).matmul(weight.to(torch::kFloat64).t());
    const auto expected = bias.defined() ? product + bias : product;  // [2, 7, outputs]
    test::on_every_level([&] {
      const auto y = linear(x, weight, bias);
      EXPECT_EQ(y.scalar_type(), torch::kFloat32);
      EXPECT_LT(relative_error(y, expected), 1e-6);
      const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
      for (const auto& values : {x, x.to(torch::kBFloat16)}) {
        const auto rounded = linear(values, weight, bias);
        EXPECT_EQ(rounded.scalar_type(), torch::kBFloat16);
        EXPECT_LT(relative_error(rounded, expected), 1.2e-2);
      }
    });
  }
}

}  // namespace softmoe::linear_test
