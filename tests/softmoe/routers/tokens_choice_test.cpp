/// The mathematics of tokens choice.

#include "softmoe/routers/tokens_choice.h"

#include "support/tensor_matcher.h"

namespace softmoe::tokens_choice_test {

using test::all_close;
using test::same_bits;

constexpr int64_t kBatch = 3;
constexpr int64_t kTokens = 14;
constexpr int64_t kExperts = 5;

torch::Tensor seeded_logits() {
  torch::manual_seed(33);
  return 2 * torch::randn({kBatch, kTokens, kExperts}, torch::kFloat64);
}

TEST(ChooseExperts, TakeTheLowestIndexAmongEqualGates) {
  SparseOptions options{.top_k = 2};
  const auto chosen = choose_experts(torch::tensor({{{0.0, 1.0, 1.0, 1.0}}}), {}, options);
  EXPECT_TRUE(same_bits(chosen.expert, torch::tensor({{{1, 2}}}, torch::kInt64)));
}

TEST(ChooseExperts, GatesBeforeTheTopKAreSharesOfAllExperts) {
  const auto logits = seeded_logits();
  const auto chosen = choose_experts(logits, {}, {.top_k = 3});
  EXPECT_TRUE(all_close(chosen.gate, logits.softmax(-1).gather(-1, chosen.expert)));
  EXPECT_TRUE(same_bits(chosen.priority, std::get<0>(logits.softmax(-1).max(-1))));
  EXPECT_LT(chosen.gate.sum(-1).max().item<double>(), 0.9999);
}

/// Both divide the same exponentials by their sum over the K experts.
TEST(ChooseExperts, GatesAfterTheTopKEqualRenormalizedGates) {
  const auto logits = seeded_logits();
  const auto after = choose_experts(logits, {}, {.top_k = 3, .gate_order = GateOrder::kAfter});
  const auto renormalized = choose_experts(logits, {}, {.top_k = 3, .renormalize_gates = true});
  EXPECT_TRUE(same_bits(after.expert, renormalized.expert));
  EXPECT_TRUE(all_close(after.gate, renormalized.gate));
  EXPECT_TRUE(all_close(after.gate.sum(-1), torch::ones({kBatch, kTokens}, torch::kFloat64)));
  // Renormalised gates do not change who goes first.
  EXPECT_TRUE(same_bits(renormalized.priority, choose_experts(logits, {}, {.top_k = 3}).priority));
}

TEST(ChooseExperts, SigmoidGatesDoNotDependOnOtherExperts) {
  const auto logits = seeded_logits();
  const SparseOptions options{.top_k = 2, .gate_function = GateFunction::kSigmoid};
  const auto chosen = choose_experts(logits, {}, options);
  EXPECT_TRUE(all_close(chosen.gate, logits.gather(-1, chosen.expert).sigmoid()));
  auto renormalized = options;
  renormalized.renormalize_gates = true;
  const auto sums = choose_experts(logits, {}, renormalized).gate.sum(-1);
  EXPECT_TRUE(all_close(sums, torch::ones_like(sums)));
}

TEST(ChooseExperts, GatesStayFiniteWhereAllAreZero) {
  const auto logits = torch::full({1, 2, 4}, -1e4).requires_grad_();
  const auto chosen = choose_experts(
      logits, {}, {.top_k = 2, .renormalize_gates = true, .gate_function = GateFunction::kSigmoid});
  chosen.gate.sum().backward();
  EXPECT_TRUE(chosen.gate.isfinite().all().item<bool>());
  EXPECT_TRUE(logits.grad().isfinite().all().item<bool>());
}

TEST(ChooseExperts, ABiasCountsForTheSelectionAlone) {
  const auto logits = seeded_logits();
  const auto bias = torch::tensor({0.0, 0.0, 0.0, 2.0, 0.0});
  for (const auto order : {GateOrder::kBefore, GateOrder::kAfter}) {
    const auto chosen = choose_experts(logits, bias, {.top_k = 2, .gate_order = order});
    EXPECT_TRUE((chosen.expert.select(-1, 0) == 3).all().item<bool>());
    const auto expected = order == GateOrder::kBefore
                              ? logits.softmax(-1).gather(-1, chosen.expert)
                              : logits.gather(-1, chosen.expert).softmax(-1);
    EXPECT_TRUE(all_close(chosen.gate, expected));
  }
}

TEST(PlaceChoices, FillBuffersWithAllFirstChoicesBeforeAnySecond) {
  // Tokens 0, 1, 2 of two experts with two rows each; then the other group.
  const auto expert =
      torch::tensor({{{0, 1}, {0, 1}, {1, 0}}, {{1, 0}, {1, -1}, {1, 0}}}, torch::kInt64);
  const auto places = place_choices(expert, {}, 2, 2);
  EXPECT_EQ(places.rows, 4);
  // Group 0: expert 0 has tokens 0 and 1, expert 1 token 2 and then token 0. Group 1: expert 1 has
  // tokens 0 and 1, expert 0 tokens 0 and 2.
  const auto expected =
      torch::tensor({{0, 5}, {1, -1}, {4, -1}, {6, 2}, {7, -1}, {-1, 3}}, torch::kInt64);
  EXPECT_TRUE(same_bits(places.place, expected));
}

TEST(PlaceChoices, FillBuffersByFallingPriorityAndThenInTheOrderOfTokens) {
  const auto expert = torch::zeros({1, 4, 1}, torch::kInt64);
  const auto priority = torch::tensor({{0.5, 0.9, 0.5, 0.7}});
  const auto places = place_choices(expert, priority, 1, 3);
  EXPECT_TRUE(same_bits(places.place, torch::tensor({{2}, {0}, {-1}, {1}}, torch::kInt64)));
}

TEST(PlaceChoices, NeedNoMoreRowsThanTheFullestBuffer) {
  const auto expert = torch::tensor({{{0}, {2}, {2}, {1}}}, torch::kInt64);
  EXPECT_EQ(place_choices(expert, {}, 3, int64_t{1} << 60).rows, 2);
  EXPECT_EQ(place_choices(expert, {}, 3, 1).rows, 1);
  EXPECT_EQ(place_choices(expert, {}, 3, 2).rows, 2);
}

TEST(PlaceChoices, RefuseExpertsThatDoNotExist) {
  EXPECT_THROW(place_choices(torch::full({1, 2, 1}, 3, torch::kInt64), {}, 3, 2), c10::ValueError);
}

/// Many sizes, with loads from balanced to one expert for all.
TEST(PlaceChoices, GiveEachPairItsOwnRowOfItsExpertAndGroupUpToTheCapacity) {
  torch::manual_seed(34);
  for (const int64_t experts : {1, 3, 40}) {
    for (const int64_t capacity : {1, 4, 100}) {
      const int64_t choices = std::min<int64_t>(experts, 2);
      const auto logits = torch::randn({2, 17, experts}) + 3 * torch::randn({experts});
      const auto chosen = choose_experts(logits, {}, {.top_k = choices});
      const auto plain = place_choices(chosen.expert, {}, experts, capacity);
      const auto ranked = place_choices(chosen.expert, chosen.priority, experts, capacity);
      for (const auto* places : {&plain, &ranked}) {
        const auto place = places->place.flatten();
        const auto kept = place.masked_select(place >= 0);
        EXPECT_EQ(std::get<0>(at::_unique(kept)).numel(), kept.numel());
        EXPECT_TRUE(same_bits(kept.div(places->rows, "floor"),
                              chosen.expert.flatten().masked_select(place >= 0)));
        const auto group = torch::arange(2, torch::kInt64).repeat_interleave(17 * choices);
        const auto row_of_group = kept.remainder(places->rows);
        EXPECT_TRUE(same_bits(row_of_group.div(places->rows / 2, "floor"),
                              group.masked_select(place >= 0)));
        EXPECT_LE(places->rows, 2 * capacity);
      }
      // Each expert is full, or has all that asked: priority only changes who they are.
      EXPECT_EQ((plain.place < 0).sum().item<int64_t>(), (ranked.place < 0).sum().item<int64_t>());
      const auto counts = [&](int64_t group) {
        return count_choices(chosen.expert[group], experts).clamp_max(capacity).sum();
      };
      EXPECT_EQ((plain.place >= 0).sum().item<int64_t>(), (counts(0) + counts(1)).item<int64_t>());
    }
  }
}

TEST(BalancingStep, IsTheSignOfWhatIsMissingWithoutItsMean) {
  const auto counts = count_choices(torch::tensor({{0, 0, 0, 2}, {0, -1, 2, 3}}, torch::kInt64), 4);
  EXPECT_TRUE(same_bits(counts, torch::tensor({4, 0, 2, 1}, torch::kInt64)));
  // The mean is 7 / 4: signs -1, 1, -1, 1 have mean 0; without the last one 2 / 3.
  EXPECT_TRUE(
      all_close(balancing_step(counts), torch::tensor({-1.0, 1.0, -1.0, 1.0}, torch::kFloat64)));
  EXPECT_TRUE(all_close(balancing_step(torch::tensor({9, 0, 0}, torch::kInt64)),
                        torch::tensor({-4.0, 2.0, 2.0}, torch::kFloat64) / 3.0));
  EXPECT_TRUE(all_close(balancing_step(torch::full({5}, 7, torch::kInt64)),
                        torch::zeros({5}, torch::kFloat64)));
}

}  // namespace softmoe::tokens_choice_test
