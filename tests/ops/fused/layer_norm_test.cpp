#include "ops/fused/layer_norm.h"

#include "ops/compute_precision.h"
#include "ops/operator_checks.h"

namespace softmoe::fused::layer_norm_test {

using test::expect_agreement;
using test::expect_determinism;
using test::expect_freezing;
using test::Operator;
using test::Tensors;

class FusedLayerNorm : public test::LevelTest {
 protected:
  void SetUp() override {
    LevelTest::SetUp();
    at::manual_seed(5);
  }
};
INSTANTIATE_TEST_SUITE_P(Levels, FusedLayerNorm, test::every_level(), test::level_name);

TEST_P(FusedLayerNorm, AgreesWithLibtorch) {
  for (const int64_t dim : {16, 48, 37}) {
    // More rows than one chunk of the gradients' sums.
    const Tensors inputs{torch::randn({3, 47, dim}) * 2 + 1, torch::randn({dim}),
                         torch::randn({dim})};
    const Operator fused = [](const Tensors& in) { return layer_norm(in[0], in[1], in[2], 1e-3); };
    expect_agreement(
        fused,
        [dim](const Tensors& in) { return torch::layer_norm(in[0], {dim}, in[1], in[2], 1e-3); },
        inputs, Precision::kFloat32);
    expect_determinism(fused, inputs);
  }
}

TEST_P(FusedLayerNorm, TakesBf16AndNoBias) {
  const Tensors inputs{torch::randn({9, 24}), torch::randn({24})};
  expect_agreement(
      [](const Tensors& in) { return layer_norm(in[0].to(torch::kBFloat16), in[1], {}, 1e-6); },
      [](const Tensors& in) {
        return torch::layer_norm(in[0], {24}, in[1], torch::Tensor(), 1e-6);
      },
      inputs, Precision::kBFloat16);
}

TEST_P(FusedLayerNorm, BranchAddsBothGradients) {
  const Tensors inputs{torch::randn({5, 17, 32}), torch::randn({32}), torch::randn({32})};
  const auto direction = torch::randn({5, 17, 32}, torch::kFloat64);
  for (const auto precision : test::kKernelPrecisions) {
    const auto dtype = tensor_dtype(precision);
    expect_agreement(
        [&](const Tensors& in) {
          const auto [normed, skip] = layer_norm_branch(in[0], in[1], in[2], 1e-6, dtype);
          EXPECT_EQ(normed.scalar_type(), dtype);
          return normed + skip * direction.to(torch::kFloat32);
        },
        [&](const Tensors& in) {
          return torch::layer_norm(in[0], {32}, in[1], in[2], 1e-6) + in[0] * direction;
        },
        inputs, precision);
  }
}

TEST(FusedLayerNormBranch, MayLeaveTheNormUnused) {
  const auto x = torch::randn({4, 32}).requires_grad_();
  const auto weight = torch::randn({32});
  layer_norm_branch(x, weight, {}, 1e-6, torch::kFloat32).skip.sum().backward();
  EXPECT_TRUE(test::all_close(x.grad(), torch::ones({4, 32})));
}

TEST_P(FusedLayerNorm, FrozenInputsLeaveTheOtherGradientsAsTheyAre) {
  for (const bool with_bias : {false, true}) {
    expect_freezing(
        [with_bias](const Tensors& in) {
          return layer_norm(in[0], in[1], with_bias ? in[2] : torch::Tensor(), 1e-6);
        },
        {torch::randn({3, 47, 24}), torch::randn({24}),
         with_bias ? torch::randn({24}) : torch::Tensor()},
        {{0}, {1}, {0, 1}});
  }
}

}  // namespace softmoe::fused::layer_norm_test
