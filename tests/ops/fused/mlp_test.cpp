#include "ops/fused/mlp.h"

#include "ops/operator_checks.h"

namespace softmoe::fused::mlp_test {

using test::expect_agreement;
using test::expect_determinism;
using test::expect_freezing;
using test::Operator;
using test::Tensors;

constexpr auto kTanh = Activation::kGeluTanh;
constexpr auto kExact = Activation::kGeluExact;

struct MlpCase {
  std::string name;
  std::vector<int64_t> shape;  ///< of x
  int64_t experts;             ///< 0: weights without that axis
  int64_t hidden;
  Activation activation;
  bool residual;
};
void PrintTo(const MlpCase& test_case, std::ostream* out) { *out << test_case.name; }

Tensors mlp_inputs(const MlpCase& sizes) {
  const int64_t dim = sizes.shape.back();
  const auto shaped = [&sizes](std::vector<int64_t> shape) {
    if (sizes.experts > 0) {
      shape.insert(shape.begin(), sizes.experts);
    }
    return torch::randn(shape);
  };
  const double scale = 1.0 / std::sqrt(static_cast<double>(dim));
  return {torch::randn(sizes.shape),
          shaped({sizes.hidden, dim}) * scale,
          shaped({sizes.hidden}),
          shaped({dim, sizes.hidden}) * scale,
          shaped({dim}),
          sizes.residual ? torch::randn(sizes.shape) : torch::Tensor()};
}

torch::Tensor plain_mlp(const Tensors& in, Activation activation) {
  const auto bias = [](const torch::Tensor& value) {
    return value.dim() == 2 ? value.unsqueeze(1) : value;
  };
  const auto before = in[0].matmul(in[1].transpose(-2, -1)) + bias(in[2]);
  const auto after = torch::gelu(before, activation == kTanh ? "tanh" : "none");
  const auto out = after.matmul(in[3].transpose(-2, -1)) + bias(in[4]);
  return in[5].defined() ? out + in[5] : out;
}

using FusedMlp = test::KernelTest;
class FusedMlpOfSize : public test::KernelTest, public testing::WithParamInterface<MlpCase> {};

TEST_P(FusedMlpOfSize, AgreesWithLibtorch) {
  const auto& sizes = GetParam();
  const auto inputs = mlp_inputs(sizes);
  const Operator fused = [&sizes](const Tensors& in) {
    return fused::mlp(in[0], {in[1], in[2], in[3], in[4]}, sizes.activation, in[5]);
  };
  expect_agreement(
      fused, [&sizes](const Tensors& in) { return plain_mlp(in, sizes.activation); }, inputs);
  expect_determinism(fused, inputs);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FusedMlpOfSize,
                         testing::Values(MlpCase{"Dense", {3, 7, 32}, 0, 80, kTanh, true},
                                         MlpCase{"ExactGelu", {2, 50, 48}, 0, 96, kExact, false},
                                         MlpCase{"OddTiles", {67, 22}, 0, 58, kTanh, false},
                                         MlpCase{"ManyRows", {2, 1061, 16}, 0, 34, kTanh, true},
                                         MlpCase{"FewExperts", {3, 13, 32}, 3, 64, kTanh, false},
                                         MlpCase{"ManyExperts", {11, 9, 48}, 11, 64, kExact, true},
                                         MlpCase{"ManyRowsEach", {6, 259, 16}, 6, 34, kTanh, true},
                                         MlpCase{"WideParts", {6, 21, 176}, 6, 304, kTanh, false}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST_F(FusedMlp, TakesReducedPrecision) {
  const auto inputs = mlp_inputs({"", {5, 6, 32}, 5, 48, kTanh, false});
  expect_agreement(
      [](const Tensors& in) {
        return fused::mlp(in[0].to(torch::kBFloat16), {in[1], in[2], in[3], in[4]}, kTanh);
      },
      [](const Tensors& in) { return plain_mlp(in, kTanh); }, inputs);
}

TEST_F(FusedMlp, WritesGradientsLargerThanTheCaches) {
  const auto inputs = mlp_inputs({"", {9, 3, 512}, 9, 1024, kTanh, false});
  expect_agreement(
      [](const Tensors& in) {
        return fused::mlp(in[0], {in[1], in[2], in[3], in[4]}, kTanh);
      },
      [](const Tensors& in) { return plain_mlp(in, kTanh); }, inputs);
}

TEST_F(FusedMlp, WithoutGradientsGivesTheSameBits) {
  const auto in = mlp_inputs({"", {4, 19, 32}, 0, 48, kTanh, true});
  const MlpParameters parameters{in[1], in[2], in[3], in[4]};
  const auto expected = fused::mlp(in[0], parameters, kTanh, in[5]).detach();
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(test::same_bits(fused::mlp(in[0], parameters, kTanh, in[5]), expected));
}

TEST_F(FusedMlp, FrozenInputsLeaveTheOtherGradientsAsTheyAre) {
  expect_freezing(
      [](const Tensors& in) {
        return fused::mlp(in[0], {in[1], in[2], in[3], in[4]}, kTanh, in[5]);
      },
      mlp_inputs({"", {7, 9, 32}, 7, 48, kTanh, true}), {{0}, {3}, {1, 4}, {2, 4}, {2}, {5, 0}});
}

TEST_F(FusedMlp, RefusesAResidualOfAnotherShape) {
  const auto in = mlp_inputs({"", {4, 19, 32}, 0, 48, kTanh, true});
  const MlpParameters parameters{in[1], in[2], in[3], in[4]};
  EXPECT_THROW(fused::mlp(in[0], parameters, kTanh, in[5].slice(0, 1)), c10::ValueError);
}

}  // namespace softmoe::fused::mlp_test
