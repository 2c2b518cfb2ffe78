#include "ops/fused/linear.h"

#include "ops/operator_checks.h"

namespace softmoe::fused::linear_test {

using test::expect_determinism;
using test::expect_freezing;
using test::Operator;
using test::output_and_gradients;
using test::relative_error;
using test::Tensors;

using FusedLinear = test::KernelTest;

TEST_F(FusedLinear, AgreesWithLibtorchToFp32) {
  // One panel of 16 outputs; several panels, and more rows than gradients are summed over at once.
  for (const auto& inputs : {Tensors{torch::randn({5, 32}), torch::randn({16, 32})},
                             Tensors{torch::randn({3, 147, 48}), torch::randn({80, 48})},
                             Tensors{torch::randn({2, 9, 16}), torch::randn({304, 16})}}) {
    const Operator fused = [](const Tensors& in) { return exact_linear(in[0], in[1]); };
    const Operator plain = [](const Tensors& in) { return in[0].matmul(in[1].t()); };
    const auto actual = output_and_gradients(fused, inputs, torch::kFloat32);
    const auto expected = output_and_gradients(plain, inputs, torch::kFloat64);
    for (size_t index = 0; index < actual.size(); ++index) {
      ASSERT_EQ(actual[index].sizes(), expected[index].sizes()) << "tensor " << index;
      EXPECT_LT(relative_error(actual[index], expected[index]), 1e-6) << "tensor " << index;
    }
    expect_determinism(fused, inputs);
    expect_freezing(fused, inputs, {{0}, {1}});
  }
}

TEST_F(FusedLinear, TakesWholeVectorsInFp32) {
  EXPECT_TRUE(takes_linear(torch::zeros({3, 32}), torch::zeros({16, 32})));
  EXPECT_FALSE(takes_linear(torch::zeros({3, 32}), torch::zeros({17, 32})));
  EXPECT_FALSE(takes_linear(torch::zeros({3, 24}), torch::zeros({16, 24})));
  EXPECT_FALSE(takes_linear(torch::zeros({3, 32}, torch::kBFloat16), torch::zeros({16, 32})));
  EXPECT_THROW(exact_linear(torch::zeros({3, 32}), torch::zeros({16, 48})), c10::ValueError);
}

}  // namespace softmoe::fused::linear_test
