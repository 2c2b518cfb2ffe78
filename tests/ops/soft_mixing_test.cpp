#include "ops/soft_mixing.h"

#include "ops/entmax.h"
#include "ops/operator_checks.h"
#include "runtime/autocast_guard.h"

namespace softmoe {

constexpr std::array kMixingNames{"Soft", "SoftUniform", "UniformSoft", "Uniform"};

static void PrintTo(SoftMixing mixing, std::ostream* out) {
  *out << kMixingNames.at(static_cast<size_t>(mixing));
}

}  // namespace softmoe

namespace softmoe::soft_mixing_test {

using test::all_close;
using test::relative_error;
using test::same_bits;

constexpr int64_t kBatch = 2;
constexpr int64_t kTokens = 7;
constexpr int64_t kDim = 32;
constexpr std::array kMixings{SoftMixing::kSoft, SoftMixing::kSoftUniform, SoftMixing::kUniformSoft,
                              SoftMixing::kUniform};

class SoftMixingOp : public testing::TestWithParam<SoftMixing> {
 protected:
  void SetUp() override {
    at::manual_seed(6);
    tokens_ = torch::randn({kBatch, kTokens, kDim});
    outputs_ = torch::randn({options_.experts, kBatch * options_.slots_per_expert, kDim});
    slots_ = {.phi = torch::randn({kDim, options_.slots()}), .scale = torch::full({}, 3.0)};
    options_.mixing = GetParam();
  }

  SoftMixingOptions options_{.experts = 5, .slots_per_expert = 3, .eps = 1e-4};
  SlotParameters slots_;
  torch::Tensor tokens_;
  torch::Tensor outputs_;
};

TEST_P(SoftMixingOp, MixesByItsWeightsOnAllLevels) {
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      const double bound = dtype == torch::kFloat32 ? 1e-6 : 1e-2;
      const AutocastGuard autocast(torch::kCPU, dtype);
      const auto [inputs, mix] = soft_dispatch(tokens_, slots_, options_);
      const auto weights = mix.weights();
      EXPECT_TRUE(all_close(weights.dispatch.sum(1), torch::ones({kBatch, options_.slots()})));
      EXPECT_TRUE(all_close(weights.combine.sum(2), torch::ones({kBatch, kTokens})));
      const auto out = soft_combine(outputs_, mix);
      const AutocastGuard exact(torch::kCPU, torch::kFloat32);
      EXPECT_LT(relative_error(inputs, dispatch_tokens(tokens_, weights.dispatch, 5)), bound);
      EXPECT_LT(relative_error(out, combine_outputs(outputs_, weights.combine)), bound);
    }
  }
}

TEST_P(SoftMixingOp, TellsTheLogitsOfLearnedSteps) {
  const auto expected = soft_logits(tokens_, slots_.phi, slots_.scale, options_.eps);
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    const auto logits = soft_dispatch(tokens_, slots_, options_).mix.logits();
    if (GetParam() == SoftMixing::kUniform) {
      EXPECT_FALSE(logits.defined());
    } else {
      EXPECT_TRUE(all_close(logits, expected));
    }
  }
}

TEST_P(SoftMixingOp, NoiseChangesTheWeightsButNotTheLogits) {
  auto noisy = options_;
  noisy.noise = 1.0;
  const auto plain = soft_dispatch(tokens_, slots_, options_).mix;
  const auto mix = soft_dispatch(tokens_, slots_, noisy).mix;
  if (GetParam() == SoftMixing::kUniform) {
    EXPECT_TRUE(same_bits(mix.weights().combine, plain.weights().combine));
    return;
  }
  EXPECT_TRUE(all_close(mix.logits(), plain.logits()));
  EXPECT_FALSE(torch::equal(mix.weights().dispatch, plain.weights().dispatch) &&
               torch::equal(mix.weights().combine, plain.weights().combine));
}

TEST_P(SoftMixingOp, RoundsWhatItMixes) {
  auto rounding = options_;
  rounding.rounds_to_bf16 = true;
  const auto [inputs, mix] = soft_dispatch(tokens_, slots_, rounding);
  const auto reduced = tokens_.to(torch::kBFloat16).to(torch::kFloat32);
  EXPECT_TRUE(same_bits(inputs, dispatch_tokens(reduced, mix.weights().dispatch, 5)));
  const auto outputs = outputs_.to(torch::kBFloat16).to(torch::kFloat32);
  EXPECT_TRUE(
      same_bits(soft_combine(outputs_, mix), combine_outputs(outputs, mix.weights().combine)));
}

TEST_P(SoftMixingOp, StepsCanHaveScalesOfTheirOwn) {
  const auto with_scale = [&](double scale) {
    return soft_dispatch(tokens_, {.phi = slots_.phi, .scale = torch::full({}, scale)}, options_)
        .mix.weights();
  };
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    slots_.combine_scale = torch::full({}, 9.0);
    const auto mix = soft_dispatch(tokens_, slots_, options_).mix;
    EXPECT_TRUE(all_close(mix.weights().dispatch, with_scale(3.0).dispatch));
    EXPECT_TRUE(all_close(mix.weights().combine, with_scale(9.0).combine));
    EXPECT_LT(relative_error(soft_combine(outputs_, mix),
                             combine_outputs(outputs_, with_scale(9.0).combine)),
              1e-5);
  }
}

TEST_P(SoftMixingOp, GradientsOfBothScalesAreThoseOfLibtorch) {
  const auto gradients = [&](torch::Dtype dtype) {
    std::vector<torch::Tensor> inputs;
    for (const auto& tensor : {slots_.phi, slots_.scale, torch::full({}, 5.0), tokens_}) {
      inputs.push_back(tensor.detach().to(dtype).clone().requires_grad_());
    }
    const auto [rows, mix] = soft_dispatch(
        inputs[3], {.phi = inputs[0], .scale = inputs[1], .combine_scale = inputs[2]}, options_);
    soft_combine(rows.tanh(), mix).square().sum().backward();
    std::vector<torch::Tensor> all;
    for (const auto& input : inputs) {
      all.push_back(input.grad().defined() ? input.grad() : torch::zeros_like(input));
    }
    return all;
  };
  const auto expected = gradients(torch::kFloat64);  // by libtorch's operators
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    const auto actual = gradients(torch::kFloat32);
    for (size_t index = 0; index < expected.size(); ++index) {
      EXPECT_TRUE(all_close(actual[index], expected[index].to(torch::kFloat32),
                            {.absolute = 1e-4, .relative = 1e-4}))
          << index;
    }
  }
}

TEST_P(SoftMixingOp, CombinesByEntmaxIfAsked) {
  options_.combine = CombineWeights::kEntmax15;
  slots_.scale = torch::full({}, 20.0);
  const auto mix = soft_dispatch(tokens_, slots_, options_).mix;
  const auto combine = mix.weights().combine;  // [batch, tokens, slots]
  EXPECT_TRUE(all_close(combine.sum(2), torch::ones({kBatch, kTokens})));
  if (learns_combine(GetParam())) {
    EXPECT_TRUE(same_bits(combine, entmax15(mix.logits())));
    EXPECT_TRUE(combine.eq(0).any().item<bool>());
  }
  EXPECT_TRUE(same_bits(soft_combine(outputs_, mix), combine_outputs(outputs_, combine)));
}

INSTANTIATE_TEST_SUITE_P(Steps, SoftMixingOp, testing::ValuesIn(kMixings),
                         [](const auto& mixing) { return kMixingNames.at(mixing.index); });

}  // namespace softmoe::soft_mixing_test
