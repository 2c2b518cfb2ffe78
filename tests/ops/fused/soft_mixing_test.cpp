#include "ops/fused/soft_mixing.h"

#include "ops/operator_checks.h"
#include "ops/soft_routing.h"

namespace softmoe::fused::soft_mixing_test {

constexpr double kEps = 1e-2;  // large enough to matter

struct MixingCase {
  std::string name;
  int64_t batch;
  int64_t tokens;
  int64_t dim;
  int64_t experts;
  int64_t slots_per_expert;
};
void PrintTo(const MixingCase& test_case, std::ostream* out) { *out << test_case.name; }

using test::relative_error;

class FusedSoftMixing : public test::KernelTest, public testing::WithParamInterface<MixingCase> {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    at::manual_seed(8);
    const auto& sizes = GetParam();
    slots_ = sizes.experts * sizes.slots_per_expert;
    tokens_ = torch::randn({sizes.batch, sizes.tokens, sizes.dim});
    keys_ = torch::randn({sizes.dim, slots_});
    outputs_ = torch::randn({sizes.experts, sizes.batch * sizes.slots_per_expert, sizes.dim});
    logits_ = torch::randn({sizes.batch, sizes.tokens, slots_}) * 2;
    d_inputs_ = torch::randn_like(outputs_);
    d_logits_ = torch::randn_like(logits_);
    d_tokens_ = torch::randn_like(tokens_);
  }

  /// Expert inputs, logits, gradients of tokens and keys.
  std::vector<torch::Tensor> dispatch(torch::Dtype dtype, bool fused) const {
    const auto tokens = tokens_.to(dtype).clone().requires_grad_();
    const auto keys = keys_.to(dtype).clone().requires_grad_();
    torch::Tensor inputs;
    torch::Tensor logits;
    if (fused) {
      const auto result = soft_dispatch(tokens, keys, GetParam().experts, kEps);
      inputs = result.expert_inputs;
      logits = logits_from_panels(result.logits, slots_);
    } else {
      logits = l2_normalize(tokens, 2, kEps).matmul(keys);
      inputs = dispatch_tokens(tokens, logits.softmax(1), GetParam().experts);
    }
    ((inputs * d_inputs_.to(dtype)).sum() + (logits * d_logits_.to(dtype)).sum()).backward();
    return {inputs.detach(), logits.detach(), tokens.grad(), keys.grad()};
  }

  /// `logits` [batch, tokens, slots] in panels, NaN where slots do not fill the last one.
  static torch::Tensor in_panels(const torch::Tensor& logits) {
    const int64_t panels = (logits.size(2) + kPanelSlots - 1) / kPanelSlots;
    auto filled =
        torch::full({logits.size(0), logits.size(1), panels * kPanelSlots}, NAN, logits.options());
    filled.narrow(2, 0, logits.size(2)).copy_(logits);
    return filled.view({logits.size(0), logits.size(1), panels, kPanelSlots})
        .transpose(1, 2)
        .contiguous();
  }

  /// Output tokens, gradients of expert outputs and logits.
  std::vector<torch::Tensor> combine(torch::Dtype dtype, bool fused) const {
    const auto outputs = outputs_.to(dtype).clone().requires_grad_();
    auto logits = logits_.to(dtype).clone();
    logits = (fused ? in_panels(logits) : logits).requires_grad_();
    const auto tokens =
        fused ? soft_combine(outputs, logits) : combine_outputs(outputs, logits.softmax(2));
    (tokens * d_tokens_.to(dtype)).sum().backward();
    return {tokens.detach(), outputs.grad(),
            fused ? logits_from_panels(logits.grad(), slots_).contiguous() : logits.grad()};
  }

  int64_t slots_ = 0;
  torch::Tensor tokens_;
  torch::Tensor keys_;
  torch::Tensor outputs_;
  torch::Tensor logits_;
  torch::Tensor d_inputs_;
  torch::Tensor d_logits_;
  torch::Tensor d_tokens_;
};

TEST_P(FusedSoftMixing, DispatchAgreesWithLibtorch) {
  const auto actual = dispatch(torch::kFloat32, /*fused=*/true);
  const auto expected = dispatch(torch::kFloat64, /*fused=*/false);
  // Expert inputs are given in bf16, and so is the gradient that comes back.
  const std::vector<double> bounds{3e-3, 2e-6, 4e-3, 4e-3};
  for (size_t index = 0; index < actual.size(); ++index) {
    ASSERT_EQ(actual[index].sizes(), expected[index].sizes());
    EXPECT_LT(relative_error(actual[index], expected[index]), bounds[index]) << index;
  }
}

TEST_P(FusedSoftMixing, CombineAgreesWithLibtorch) {
  const auto actual = combine(torch::kFloat32, /*fused=*/true);
  const auto expected = combine(torch::kFloat64, /*fused=*/false);
  for (size_t index = 0; index < actual.size(); ++index) {
    ASSERT_EQ(actual[index].sizes(), expected[index].sizes());
    EXPECT_LT(relative_error(actual[index], expected[index]), 3e-6) << index;
  }
}

TEST_P(FusedSoftMixing, FrozenKeysOrTokensLeaveTheOtherGradientAsItIs) {
  const auto expected = dispatch(torch::kFloat32, /*fused=*/true);
  for (const bool keys_learn : {false, true}) {
    const auto tokens = tokens_.clone().requires_grad_(!keys_learn);
    const auto keys = keys_.clone().requires_grad_(keys_learn);
    const auto result = soft_dispatch(tokens, keys, GetParam().experts, kEps);
    ((result.expert_inputs * d_inputs_).sum() +
     (logits_from_panels(result.logits, slots_) * d_logits_).sum())
        .backward();
    EXPECT_TRUE(
        test::same_bits(keys_learn ? keys.grad() : tokens.grad(), expected[keys_learn ? 3 : 2]));
    EXPECT_FALSE((keys_learn ? tokens : keys).grad().defined());
  }
}

TEST_P(FusedSoftMixing, GivesTheSameBitsOnAnyNumberOfThreads) {
  const auto dispatched = dispatch(torch::kFloat32, /*fused=*/true);
  const auto combined = combine(torch::kFloat32, /*fused=*/true);
  const int threads = at::get_num_threads();
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    const auto dispatched_again = dispatch(torch::kFloat32, /*fused=*/true);
    const auto combined_again = combine(torch::kFloat32, /*fused=*/true);
    for (size_t index = 0; index < dispatched.size(); ++index) {
      EXPECT_TRUE(test::same_bits(dispatched_again[index], dispatched[index])) << index;
    }
    for (size_t index = 0; index < combined.size(); ++index) {
      EXPECT_TRUE(test::same_bits(combined_again[index], combined[index])) << index;
    }
  }
  at::set_num_threads(threads);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FusedSoftMixing,
                         testing::Values(MixingCase{"Few", 3, 7, 32, 5, 1},
                                         MixingCase{"OneVector", 2, 15, 48, 8, 2},
                                         MixingCase{"Many", 5, 50, 64, 11, 3},
                                         MixingCase{"ManyBlocks", 2, 290, 80, 67, 8}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST(FusedSoftMixingSizes, RefusesSizesThatDoNotFit) {
  const auto tokens = torch::zeros({2, 3, 16});
  EXPECT_THROW(soft_dispatch(tokens, torch::zeros({15, 4}), 2, kEps), c10::ValueError);
  EXPECT_THROW(soft_dispatch(tokens, torch::zeros({16, 5}), 2, kEps), c10::ValueError);
  EXPECT_THROW(soft_combine(torch::zeros({2, 5, 16}), torch::zeros({2, 1, 3, 32})),
               c10::ValueError);
  EXPECT_THROW(soft_combine(torch::zeros({2, 34, 16}), torch::zeros({2, 1, 3, 32})),
               c10::ValueError);
}

}  // namespace softmoe::fused::soft_mixing_test
