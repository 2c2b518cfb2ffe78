#include "ops/fused/mlp.h"

#include "ops/operator_checks.h"

namespace softmoe::fused::mlp_test {

using test::expect_agreement;
using test::expect_determinism;
using test::expect_freezing;
using test::Operator;
using test::output_and_gradients;
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

Operator fused_mlp(Activation activation, Precision precision) {
  return [=](const Tensors& in) {
    return fused::mlp(in[0], {in[1], in[2], in[3], in[4]}, activation, precision, in[5]);
  };
}

void expect_agreement_of(const MlpCase& sizes, Precision precision, const Tensors& inputs) {
  expect_agreement(
      fused_mlp(sizes.activation, precision),
      [&sizes](const Tensors& in) { return plain_mlp(in, sizes.activation); }, inputs, precision);
}

using FusedMlpOfSize = test::SizesTest<MlpCase>;

TEST_P(FusedMlpOfSize, AgreesWithLibtorch) {
  const auto inputs = mlp_inputs(sizes());
  expect_agreement_of(sizes(), precision(), inputs);
  expect_determinism(fused_mlp(sizes().activation, precision()), inputs);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, FusedMlpOfSize,
    testing::Combine(test::every_precision(),
                     testing::Values(MlpCase{"Dense", {3, 7, 32}, 0, 80, kTanh, true},
                                     MlpCase{"ExactGelu", {2, 50, 48}, 0, 96, kExact, false},
                                     MlpCase{"OddTiles", {67, 22}, 0, 58, kTanh, false},
                                     MlpCase{"ManyRows", {2, 1061, 16}, 0, 34, kTanh, true},
                                     MlpCase{"FewExperts", {3, 13, 32}, 3, 64, kTanh, false},
                                     MlpCase{"ManyExperts", {11, 9, 48}, 11, 64, kExact, true},
                                     MlpCase{"ManyRowsEach", {6, 259, 16}, 6, 34, kTanh, true},
                                     MlpCase{"WideParts", {6, 21, 176}, 6, 304, kTanh, false})),
    test::sizes_name<MlpCase>);

using FusedMlpOnLevel = test::LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, FusedMlpOnLevel, test::every_level(), test::level_name);

TEST_P(FusedMlpOnLevel, AgreesWithLibtorch) {
  at::manual_seed(5);
  for (const auto& sizes : {MlpCase{"Dense", {67, 22}, 0, 58, kTanh, true},
                            MlpCase{"FewExperts", {3, 13, 38}, 3, 66, kExact, false},
                            MlpCase{"ManyExperts", {11, 9, 16}, 11, 34, kTanh, true}}) {
    const auto inputs = mlp_inputs(sizes);
    for (const auto precision : test::kKernelPrecisions) {
      SCOPED_TRACE(sizes.name + " in " + enum_name(precision));
      expect_agreement_of(sizes, precision, inputs);
    }
  }
}

using FusedMlp = test::PrecisionTest;
INSTANTIATE_TEST_SUITE_P(Precisions, FusedMlp, test::every_precision(), test::precision_name);

TEST_P(FusedMlp, WritesGradientsLargerThanTheCaches) {
  const MlpCase sizes{"", {9, 3, 512}, 9, 1024, kTanh, false};
  expect_agreement_of(sizes, GetParam(), mlp_inputs(sizes));
}

TEST_P(FusedMlp, WithoutGradientsGivesTheSameBits) {
  const auto in = mlp_inputs({"", {4, 19, 32}, 0, 48, kTanh, true});
  const auto fused = fused_mlp(kTanh, GetParam());
  const auto expected = output_and_gradients(fused, in, torch::kFloat32)[0];
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(test::same_bits(fused(in), expected));
}

TEST_P(FusedMlp, FrozenInputsLeaveTheOtherGradientsAsTheyAre) {
  expect_freezing(fused_mlp(kTanh, GetParam()), mlp_inputs({"", {7, 9, 32}, 7, 48, kTanh, true}),
                  {{0}, {3}, {1, 4}, {2, 4}, {2}, {5, 0}});
}

TEST_P(FusedMlp, RefusesAResidualOfAnotherShape) {
  auto in = mlp_inputs({"", {4, 19, 32}, 0, 48, kTanh, true});
  in[5] = in[5].slice(0, 1);
  EXPECT_THROW(fused_mlp(kTanh, GetParam())(in), c10::ValueError);
}

TEST(FusedMlpValues, AreBf16ForProductsOfBf16Alone) {
  at::manual_seed(5);
  const auto with_bf16_values = [](Precision precision) {
    return [fused = fused_mlp(kTanh, precision)](Tensors in) {
      in[0] = in[0].to(torch::kBFloat16);
      return fused(in);
    };
  };
  const auto inputs = mlp_inputs({"", {5, 6, 32}, 5, 48, kTanh, false});
  expect_agreement(
      with_bf16_values(Precision::kBFloat16),
      [](const Tensors& in) { return plain_mlp(in, kTanh); }, inputs, Precision::kBFloat16);
  EXPECT_THROW(with_bf16_values(Precision::kFloat32)(inputs), c10::ValueError);
}

}  // namespace softmoe::fused::mlp_test
