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

/// Odd sizes, whose units reach over the ends of rows; several panels; more rows than gradients are
/// summed over at once.
std::vector<Tensors> all_inputs() {
  const auto inputs = [](torch::IntArrayRef x, int64_t outputs, bool has_bias) {
    return Tensors{torch::randn(x), torch::randn({outputs, x.back()}),
                   has_bias ? torch::randn({outputs}) : torch::Tensor()};
  };
  return {inputs({5, 32}, 16, true), inputs({1, 1}, 1, true), inputs({3, 47, 49}, 83, false),
          inputs({2, 311, 16}, 35, true), inputs({67, 33}, 96, false)};
}

TEST_P(FusedLinear, AgreesWithLibtorch) {
  at::manual_seed(5);
  for (const auto& inputs : all_inputs()) {
    for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
      const Operator fused = [precision](const Tensors& in) {
        return linear(in[0], in[1], in[2], precision);
      };
      const Operator plain = [](const Tensors& in) { return torch::linear(in[0], in[1], in[2]); };
      expect_agreement(fused, plain, inputs, precision);
    }
  }
}

TEST_P(FusedLinear, IsDeterministicAndFreezesWhatDoesNotLearn) {
  at::manual_seed(6);
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    const Operator fused = [precision](const Tensors& in) {
      return linear(in[0], in[1], in[2], precision);
    };
    const auto inputs = all_inputs()[3];
    expect_determinism(fused, inputs);
    expect_freezing(fused, inputs, {{0}, {1}, {2}, {0, 2}});
  }
}

TEST(FusedLinearInputs, AreCheckedAgainstTheWeight) {
  EXPECT_FALSE(takes_linear(torch::zeros({16, 32}, torch::kFloat64), {}));
  EXPECT_FALSE(takes_linear(torch::zeros({16, 32}), torch::zeros({16}, torch::kBFloat16)));
  EXPECT_THROW(linear(torch::zeros({3, 32}), torch::zeros({16, 48}), {}, Precision::kFloat32),
               c10::ValueError);
  EXPECT_THROW(linear(torch::zeros({0, 32}), torch::zeros({16, 32}), {}, Precision::kFloat32),
               c10::ValueError);
}

}  // namespace softmoe::fused::linear_test
