#include "softmoe/assignment/top_gates.h"

#include "runtime/device.h"
#include "softmoe/assignment/top_indices.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"

namespace softmoe::top_gates_test {

using test::all_close;
using test::gradients_match;
using test::same_bits;

/// What the passes stand for.
TopGates by_operators(const torch::Tensor& gates, int64_t count) {
  const auto index = top_indices(gates, count);
  return {.index = index, .gate = gates.gather(-1, index)};
}

struct Sizes {
  int64_t groups;
  int64_t tokens;
  int64_t experts;
};

/// From one to more experts than a block of rows holds gates; scores with ties.
constexpr std::array kSizes{Sizes{1, 1, 1},  Sizes{2, 7, 3},     Sizes{3, 1, 50},
                            Sizes{2, 90, 5}, Sizes{5, 300, 130}, Sizes{2, 3, 40000}};

torch::Tensor seeded_logits(const Sizes& sizes, torch::Dtype dtype) {
  torch::manual_seed(51);
  return torch::randint(-9, 9, {sizes.groups, sizes.tokens, sizes.experts}).to(dtype) / 4;
}

class TopGatesOf : public testing::TestWithParam<torch::Dtype> {
 protected:
  void expect_equal(const TopGates& actual, const TopGates& expected) {
    EXPECT_TRUE(same_bits(actual.index.cpu(), expected.index));
    EXPECT_TRUE(all_close(actual.gate.cpu(), expected.gate));
  }
};

TEST_P(TopGatesOf, TokensAreThoseOfTheSoftmax) {
  for (const auto& device : present_devices()) {
    for (const auto& sizes : kSizes) {
      const auto logits = seeded_logits(sizes, GetParam());
      for (const int64_t count : {int64_t{1}, std::min<int64_t>(2, sizes.experts),
                                  std::min<int64_t>(130, sizes.experts)}) {
        SCOPED_TRACE(std::to_string(count) + " of " + std::to_string(sizes.experts));
        expect_equal(top_gates_of_tokens(logits.to(device), count),
                     by_operators(logits.softmax(-1), count));
      }
    }
  }
}

TEST_P(TopGatesOf, ExpertsAreThoseOfTheSoftmax) {
  for (const auto& device : present_devices()) {
    for (const auto& sizes : kSizes) {
      const auto logits = seeded_logits(sizes, GetParam());
      for (const int64_t count : {int64_t{1}, std::min<int64_t>(4, sizes.tokens), sizes.tokens}) {
        SCOPED_TRACE(std::to_string(count) + " of " + std::to_string(sizes.tokens));
        expect_equal(top_gates_of_experts(logits.to(device), count),
                     by_operators(logits.softmax(-1).transpose(1, 2), count));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, TopGatesOf, testing::Values(torch::kFloat32, torch::kFloat64),
                         [](const auto& entry) {
                           return entry.param == torch::kFloat64 ? "fp64" : "fp32";
                         });

/// Gates that are asked for twice, by several experts or not at all.
TEST(TopGates, GradientsAreThoseOfTheSoftmax) {
  torch::manual_seed(52);
  auto logits = torch::randn({2, 7, 5}, torch::kFloat64).requires_grad_();
  const auto of_tokens = torch::randn({2, 7, 3}, torch::kFloat64);
  const auto of_experts = torch::randn({2, 5, 4}, torch::kFloat64);
  EXPECT_TRUE(
      gradients_match([&] { return (top_gates_of_tokens(logits, 3).gate * of_tokens).sum(); },
                      {{"logits", logits}}));
  EXPECT_TRUE(
      gradients_match([&] { return (top_gates_of_experts(logits, 4).gate * of_experts).sum(); },
                      {{"logits", logits}}));
}

TEST(TopGates, TakeLogitsThatAreNotContiguous) {
  torch::manual_seed(55);
  auto transposed = torch::randn({1, 5, 7}, torch::kFloat64).requires_grad_();
  const auto logits = [&] { return transposed.transpose(1, 2); };  // [1, 7, 5]
  const auto expected = by_operators(logits().softmax(-1), 2);
  EXPECT_TRUE(same_bits(top_gates_of_tokens(logits(), 2).index, expected.index));
  EXPECT_TRUE(gradients_match([&] { return top_gates_of_tokens(logits(), 2).gate.square().sum(); },
                              {{"logits", transposed}}));
}

TEST(TopGates, GradientsOfManyBlocksAreThoseOfTheSoftmax) {
  torch::manual_seed(53);
  const auto logits = torch::randn({3, 300, 700});
  const auto gradient = [&](const auto& top) {
    auto leaf = logits.clone().requires_grad_();
    const auto gate = top(leaf).gate;
    torch::manual_seed(54);
    (gate * torch::randn_like(gate)).sum().backward();
    return leaf.grad();
  };
  EXPECT_TRUE(
      all_close(gradient([](const auto& leaf) { return top_gates_of_tokens(leaf, 2); }),
                gradient([](const auto& leaf) { return by_operators(leaf.softmax(-1), 2); }),
                {.absolute = 1e-6}));
  EXPECT_TRUE(all_close(
      gradient([](const auto& leaf) { return top_gates_of_experts(leaf, 9); }),
      gradient([](const auto& leaf) { return by_operators(leaf.softmax(-1).transpose(1, 2), 9); }),
      {.absolute = 1e-6}));
}

TEST(TopGates, NeedNoGradient) {
  const auto logits = torch::randn({2, 7, 5});
  EXPECT_FALSE(top_gates_of_tokens(logits, 2).gate.requires_grad());
  EXPECT_FALSE(top_gates_of_experts(logits, 2).gate.requires_grad());
}

TEST(TopGates, RefuseMoreThanThereAre) {
  const auto logits = torch::randn({2, 7, 5});
  EXPECT_THROW(top_gates_of_tokens(logits, 6), c10::ValueError);
  EXPECT_THROW(top_gates_of_tokens(logits, 0), c10::ValueError);
  EXPECT_THROW(top_gates_of_experts(logits, 8), c10::ValueError);
  EXPECT_THROW(top_gates_of_experts(logits, 0), c10::ValueError);
  EXPECT_THROW(top_gates_of_tokens(logits[0], 1), c10::ValueError);
}

}  // namespace softmoe::top_gates_test
