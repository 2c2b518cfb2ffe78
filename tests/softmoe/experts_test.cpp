#include "softmoe/experts.h"

#include "ops/initialization.h"
#include "runtime/memory/memory_use.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"

namespace softmoe::experts_test {

using test::all_close;
using test::same_bits;
using test::Tolerance;

MoeLayerOptions small_options() {
  MoeLayerOptions options;
  options.dim = 6;
  options.hidden_dim = 10;
  options.moe.experts = 4;
  options.moe.slots_per_expert = 2;
  return options;
}

TEST(Experts, AreIndependentTwoLayerMlps) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const auto gelu : {Activation::kGeluTanh, Activation::kGeluExact, Activation::kGeluQuick}) {
    auto options = small_options();
    options.activation = gelu;
    Experts experts(options);
    const torch::NoGradGuard no_grad;
    experts->fc1_bias.normal_();
    experts->fc2_bias.normal_();
    const auto inputs = torch::randn({4, 9, 6});  // [experts, rows, dim]
    const auto outputs = experts->forward(inputs);
    for (int64_t expert = 0; expert < 4; ++expert) {
      const auto before =
          inputs[expert].mm(experts->fc1_weight[expert].t()) + experts->fc1_bias[expert];
      // GELU written out: exactly by erf, approximately by tanh.
      const auto cubic = std::sqrt(2.0 / M_PI) * (before + 0.044715 * before.pow(3));
      const auto gate =
          gelu == Activation::kGeluTanh ? cubic.tanh() : (before / std::sqrt(2.0)).erf();
      const auto hidden = gelu == Activation::kGeluQuick
                              ? before / (1.0 + (-1.702 * before).exp())
                              : 0.5 * before * (1.0 + gate);  // [rows, hidden]
      const auto expected = hidden.mm(experts->fc2_weight[expert].t()) + experts->fc2_bias[expert];
      EXPECT_TRUE(all_close(outputs[expert], expected)) << "expert " << expert;
    }
  }
}

TEST(Experts, GradientsMatchFiniteDifferences) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  torch::manual_seed(5);
  Experts experts(small_options());
  auto inputs = torch::randn({4, 3, 6}).requires_grad_();
  const auto cotangent = torch::randn({4, 3, 6});
  std::vector<test::NamedLeaf> leaves{{"inputs", inputs}};
  for (const auto& parameter : experts->named_parameters()) {
    leaves.push_back({parameter.key(), parameter.value()});
  }
  EXPECT_EQ(leaves.size(), 5U);
  EXPECT_TRUE(
      test::gradients_match([&] { return (experts->forward(inputs) * cotangent).sum(); }, leaves));
}

TEST(Experts, TakeStridedInputs) {
  Experts experts(small_options());
  const auto inputs = torch::randn({3, 4, 6}).transpose(0, 1);  // [experts, rows, dim]
  EXPECT_TRUE(all_close(experts->forward(inputs), experts->forward(inputs.contiguous())));
}

TEST(Experts, StartXavierUniformWithTinyBiases) {
  torch::manual_seed(1);
  auto options = small_options();
  options.dim = 48;
  options.hidden_dim = 80;
  const Experts experts(options);
  const double limit = std::sqrt(6.0 / (48 + 80));
  for (const auto& weight : {experts->fc1_weight, experts->fc2_weight}) {
    EXPECT_LE(weight.abs().max().item<double>(), limit);
    EXPECT_NEAR(weight.std().item<double>(), limit / std::sqrt(3.0), 0.02 * limit);
    EXPECT_NEAR(weight.mean().item<double>(), 0.0, 0.03 * limit);
  }
  EXPECT_NEAR(experts->fc1_bias.std().item<double>(), 1e-6, 2e-7);
  EXPECT_NEAR(experts->fc2_bias.std().item<double>(), 1e-6, 2e-7);
}

TEST(Experts, StartDifferentUnlessAskedToBeIdentical) {
  auto options = small_options();
  const Experts independent(options);
  options.moe.expert_init = ExpertInit::kIdentical;
  const Experts identical(options);
  for (int64_t expert = 1; expert < 4; ++expert) {
    for (const auto& parameter : independent->named_parameters()) {
      const auto& values = parameter.value();
      EXPECT_FALSE(values[expert].equal(values[0])) << parameter.key();
    }
    for (const auto& parameter : identical->named_parameters()) {
      const auto& values = parameter.value();
      EXPECT_TRUE(same_bits(values[expert], values[0])) << parameter.key();
      EXPECT_GT(values[0].abs().max().item<double>(), 0.0) << parameter.key();
    }
  }
}

TEST(Experts, TakeNoMemoryWhereInitializationIsSkipped) {
  for (const auto expert_init : {ExpertInit::kIndependent, ExpertInit::kIdentical}) {
    auto options = small_options();
    options.dim = 1024;
    options.hidden_dim = 4096;
    options.moe.experts = 64;  // 2 GiB, were it touched
    options.moe.expert_init = expert_init;
    const SkipInitialization skip;
    reset_peak_memory(torch::kCPU);
    const int64_t before = peak_memory_bytes(torch::kCPU);
    const Experts experts(options);
    EXPECT_LT(peak_memory_bytes(torch::kCPU) - before, int64_t{256} << 20);
    EXPECT_EQ(experts->fc1_weight.numel(), int64_t{64} * 1024 * 4096);
  }
}

TEST(Experts, DropOutInTrainingOnly) {
  auto options = small_options();
  options.dropout = 0.5;
  Experts experts(options);
  const auto inputs = torch::randn({4, 9, 6});
  torch::manual_seed(2);
  const auto first = experts->forward(inputs);
  EXPECT_FALSE(all_close(experts->forward(inputs), first));
  torch::manual_seed(2);
  EXPECT_TRUE(same_bits(experts->forward(inputs), first));
  // The reference drops hidden channels and outputs: about half of the latter are exactly 0.
  EXPECT_NEAR(first.eq(0).to(torch::kFloat32).mean().item<double>(), 0.5, 0.12);
  experts->eval();
  const auto evaluated = experts->forward(inputs);
  EXPECT_TRUE(same_bits(experts->forward(inputs), evaluated));
  EXPECT_EQ(evaluated.eq(0).sum().item<int64_t>(), 0);
}

TEST(Experts, RefuseInputsOfAnotherShape) {
  Experts experts(small_options());
  EXPECT_THROW(experts->forward(torch::zeros({3, 5, 6})), c10::ValueError);
  EXPECT_THROW(experts->forward(torch::zeros({4, 5, 7})), c10::ValueError);
  EXPECT_THROW(experts->forward(torch::zeros({4, 6})), c10::ValueError);
}

}  // namespace softmoe::experts_test
