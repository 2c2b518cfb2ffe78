#include "ops/fused/linear.h"

#include "ops/operator_checks.h"

namespace softmoe::fused::linear_test {

using test::expect_agreement;
using test::expect_determinism;
using test::expect_freezing;
using test::Operator;
using test::Tensors;

using FusedLinear = test::LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, FusedLinear, test::every_level(), test::level_name);

TEST_P(FusedLinear, AgreesWithLibtorchToFp32) {
  at::manual_seed(5);
  // One panel of 16 outputs; several panels, and more rows than gradients are summed over at once.
  for (const auto& inputs : {Tensors{torch::randn({5, 32}), torch::randn({16, 32})},
                             Tensors{torch::randn({3, 147, 48}), torch::randn({80, 48})},
                             Tensors{torch::randn({2, 9, 16}), torch::randn({304, 16})}}) {
    const Operator fused = [](const Tensors& in) { return exact_linear(in[0], in[1]); };
    const Operator plain = [](const Tensors& in) { return in[0].matmul(in[1].t()); };
    expect_agreement(fused, plain, inputs, Precision::kFloat32);
    expect_determinism(fused, inputs);
    expect_freezing(fused, inputs, {{0}, {1}});
  }
}

TEST(FusedLinearSizes, AreWholeVectorsInFp32) {
  EXPECT_TRUE(takes_linear(torch::zeros({3, 32}), torch::zeros({16, 32})));
  EXPECT_FALSE(takes_linear(torch::zeros({3, 32}), torch::zeros({17, 32})));
  EXPECT_FALSE(takes_linear(torch::zeros({3, 24}), torch::zeros({16, 24})));
  EXPECT_FALSE(takes_linear(torch::zeros({3, 32}, torch::kBFloat16), torch::zeros({16, 32})));
  EXPECT_THROW(exact_linear(torch::zeros({3, 32}), torch::zeros({16, 48})), c10::ValueError);
}

}  // namespace softmoe::fused::linear_test
