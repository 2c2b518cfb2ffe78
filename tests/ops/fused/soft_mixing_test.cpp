#include "ops/fused/soft_mixing.h"

#include <array>

#include "ops/compute_precision.h"
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
using test::Tensors;

/// The operators and libtorch's on random values of one size.
class Mixing {
 public:
  explicit Mixing(const MixingCase& sizes) : sizes_(sizes) {
    at::manual_seed(8);
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
  Tensors dispatch(Precision precision, bool tokens_learn = true, bool keys_learn = true) const {
    const auto tokens = tokens_.clone().requires_grad_(tokens_learn);
    const auto keys = keys_.clone().requires_grad_(keys_learn);
    const auto result = soft_dispatch(tokens, keys, sizes_.experts, kEps, precision);
    EXPECT_EQ(result.expert_inputs.scalar_type(), tensor_dtype(precision));
    const auto logits = logits_from_panels(result.logits, slots_);  // [batch, tokens, slots]
    ((result.expert_inputs * d_inputs_).sum() + (logits * d_logits_).sum()).backward();
    return {result.expert_inputs.detach(), logits.detach(), tokens.grad(), keys.grad()};
  }
  Tensors plain_dispatch() const {
    const auto tokens = tokens_.to(torch::kFloat64).requires_grad_();
    const auto keys = keys_.to(torch::kFloat64).requires_grad_();
    const auto logits = l2_normalize(tokens, 2, kEps).matmul(keys);
    const auto inputs = dispatch_tokens(tokens, logits.softmax(1), sizes_.experts);
    ((inputs * d_inputs_).sum() + (logits * d_logits_).sum()).backward();
    return {inputs.detach(), logits.detach(), tokens.grad(), keys.grad()};
  }

  /// Output tokens, gradients of expert outputs and logits.
  Tensors combine(Precision precision) const {
    const auto outputs = outputs_.to(tensor_dtype(precision)).detach().requires_grad_();
    const auto logits = in_panels(logits_).requires_grad_();
    const auto tokens = soft_combine(outputs, logits);
    (tokens * d_tokens_).sum().backward();
    return {tokens.detach(), outputs.grad(),
            logits_from_panels(logits.grad(), slots_).contiguous()};
  }
  Tensors plain_combine() const {
    const auto outputs = outputs_.to(torch::kFloat64).requires_grad_();
    const auto logits = logits_.to(torch::kFloat64).requires_grad_();
    const auto tokens = combine_outputs(outputs, logits.softmax(2));
    (tokens * d_tokens_).sum().backward();
    return {tokens.detach(), outputs.grad(), logits.grad()};
  }

 private:
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

  MixingCase sizes_;
  int64_t slots_ = 0;
  torch::Tensor tokens_;
  torch::Tensor keys_;
  torch::Tensor outputs_;
  torch::Tensor logits_;
  torch::Tensor d_inputs_;
  torch::Tensor d_logits_;
  torch::Tensor d_tokens_;
};

/// `bounds` of the relative errors.
void expect_near(const Tensors& actual, const Tensors& expected, std::array<double, 4> bounds) {
  for (size_t index = 0; index < actual.size(); ++index) {
    ASSERT_EQ(actual[index].sizes(), expected[index].sizes());
    EXPECT_LT(relative_error(actual[index], expected[index]), bounds[index]) << index;
  }
}

void expect_agreement_of(const Mixing& mixing, Precision precision) {
  // In bf16 are expert inputs and outputs and their gradients, and on some levels the weights.
  const bool is_bf16 = precision == Precision::kBFloat16;
  expect_near(mixing.dispatch(precision), mixing.plain_dispatch(),
              is_bf16 ? std::array{5e-3, 2e-6, 8e-3, 8e-3} : std::array{2e-6, 2e-6, 2e-6, 2e-6});
  expect_near(mixing.combine(precision), mixing.plain_combine(),
              is_bf16 ? std::array{5e-3, 5e-3, 8e-3, 0.0} : std::array{2e-6, 2e-6, 2e-6, 0.0});
}

class FusedSoftMixing : public test::SizesTest<MixingCase> {
 protected:
  Mixing mixing_{sizes()};
};

TEST_P(FusedSoftMixing, AgreesWithLibtorch) { expect_agreement_of(mixing_, precision()); }

TEST_P(FusedSoftMixing, FrozenKeysOrTokensLeaveTheOtherGradientAsItIs) {
  const auto expected = mixing_.dispatch(precision());
  const auto of_tokens = mixing_.dispatch(precision(), true, /*keys_learn=*/false);
  EXPECT_TRUE(test::same_bits(of_tokens[2], expected[2]));
  EXPECT_FALSE(of_tokens[3].defined());
  const auto of_keys = mixing_.dispatch(precision(), /*tokens_learn=*/false);
  EXPECT_TRUE(test::same_bits(of_keys[3], expected[3]));
  EXPECT_FALSE(of_keys[2].defined());
}

TEST_P(FusedSoftMixing, GivesTheSameBitsOnAnyNumberOfThreads) {
  const auto dispatched = mixing_.dispatch(precision());
  const auto combined = mixing_.combine(precision());
  const int threads = at::get_num_threads();
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    const auto dispatched_again = mixing_.dispatch(precision());
    const auto combined_again = mixing_.combine(precision());
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
                         testing::Combine(test::every_precision(),
                                          testing::Values(MixingCase{"Few", 3, 7, 32, 5, 1},
                                                          MixingCase{"OneVector", 2, 15, 48, 8, 2},
                                                          MixingCase{"Many", 5, 50, 64, 11, 3},
                                                          MixingCase{"ManyBlocks", 2, 290, 80, 67,
                                                                     8})),
                         test::sizes_name<MixingCase>);

using FusedSoftMixingOnLevel = test::LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, FusedSoftMixingOnLevel, test::every_level(), test::level_name);

TEST_P(FusedSoftMixingOnLevel, AgreesWithLibtorch) {
  for (const auto& sizes :
       {MixingCase{"Few", 3, 7, 48, 5, 1}, MixingCase{"Many", 2, 37, 16, 11, 7}}) {
    const Mixing mixing(sizes);
    for (const auto precision : test::kKernelPrecisions) {
      SCOPED_TRACE(sizes.name + " in " + enum_name(precision));
      expect_agreement_of(mixing, precision);
    }
  }
}

TEST(FusedSoftMixingSizes, RefusesSizesThatDoNotFit) {
  const auto tokens = torch::zeros({2, 3, 16});
  constexpr auto kFp32 = Precision::kFloat32;
  EXPECT_THROW(soft_dispatch(tokens, torch::zeros({15, 4}), 2, kEps, kFp32), c10::ValueError);
  EXPECT_THROW(soft_dispatch(tokens, torch::zeros({16, 5}), 2, kEps, kFp32), c10::ValueError);
  EXPECT_THROW(soft_combine(torch::zeros({2, 5, 16}), torch::zeros({2, 1, 3, 32})),
               c10::ValueError);
  EXPECT_THROW(soft_combine(torch::zeros({2, 34, 16}), torch::zeros({2, 1, 3, 32})),
               c10::ValueError);
}

}  // namespace softmoe::fused::soft_mixing_test
