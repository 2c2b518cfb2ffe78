#include "analysis/routing_statistics.h"

#include "softmoe/moe_layer.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::Tolerance;

/// A record of random weights: batch 2, tokens 13, experts 3, slots_per_expert 5.
RoutingRecord random_record() {
  torch::manual_seed(4);
  const auto logits = 2 * torch::randn({2, 13, 15});
  return {.dispatch = logits.softmax(1).view({2, 13, 3, 5}),
          .combine = logits.softmax(2).view({2, 13, 3, 5})};
}

TEST(RoutingStatistics, ConservesTheWeightOfSlotsAndTokens) {
  const auto record = random_record();
  const auto statistics = routing_statistics(record);
  ASSERT_EQ(statistics.token_contribution.sizes(), (std::vector<int64_t>{2, 13}));
  EXPECT_TRUE(all_close(statistics.token_contribution.sum(1), torch::full({2}, 15.0),
                        Tolerance{.absolute = 1e-5}));
  ASSERT_EQ(statistics.expert_importance.sizes(), (std::vector<int64_t>{3}));
  EXPECT_EQ(statistics.expert_importance.min().item<float>(), 1.0F);
  const auto share = record.combine.sum({0, 1, 3}) / (2 * 13);  // [experts]
  EXPECT_TRUE(all_close(statistics.expert_importance / statistics.expert_importance.sum(), share));
}

TEST(RoutingStatistics, CorrelationOfSlotsIsSymmetricWithAUnitDiagonal) {
  const auto correlation = routing_statistics(random_record()).slot_correlation;
  ASSERT_EQ(correlation.sizes(), (std::vector<int64_t>{15, 15}));
  EXPECT_TRUE(all_close(correlation, correlation.t()));
  EXPECT_TRUE(all_close(correlation.diagonal(), torch::ones({15}), Tolerance{.absolute = 1e-5}));
  EXPECT_LE(correlation.max().item<double>(), 1.0 + 1e-5);
}

TEST(RoutingStatistics, CountTheTokensThatCarryMostOfASlot) {
  RoutingRecord record;
  // Slot 0 takes one token, slot 1 halves, slot 2 0.6 + 0.25 + 0.1 + 0.05, slot 3 all alike.
  record.dispatch = torch::tensor({{1.0, 0.5, 0.10, 0.25},
                                   {0.0, 0.0, 0.60, 0.25},
                                   {0.0, 0.5, 0.05, 0.25},
                                   {0.0, 0.0, 0.25, 0.25}})
                        .view({1, 4, 2, 2});
  record.combine = torch::tensor({{0.4, 0.3, 0.2, 0.1},
                                  {0.1, 0.2, 0.3, 0.4},
                                  {1.0, 0.0, 0.0, 0.0},
                                  {0.25, 0.25, 0.25, 0.25}})
                       .view({1, 4, 2, 2});
  const auto statistics = routing_statistics(record);
  EXPECT_TRUE(statistics.tokens_per_slot.equal(torch::tensor({{1, 2, 3, 4}}, torch::kInt64)));
  EXPECT_TRUE(all_close(statistics.token_contribution, torch::tensor({{1.85, 0.85, 0.80, 0.50}})));
  EXPECT_TRUE(all_close(statistics.expert_importance, torch::tensor({2.5 / 1.5, 1.0})));
  EXPECT_NEAR(statistics.dispatch_max.item<double>(), (1.0 + 0.5 + 0.6 + 0.25) / 4, 1e-6);
  EXPECT_NEAR(statistics.dispatch_min.item<double>(), (0.05 + 0.25) / 4, 1e-6);
  EXPECT_NEAR(statistics.combine_max.item<double>(), (0.4 + 0.4 + 1.0 + 0.25) / 4, 1e-6);
  EXPECT_NEAR(statistics.combine_min.item<double>(), (0.1 + 0.1 + 0.0 + 0.25) / 4, 1e-6);
  EXPECT_NEAR(statistics.slot_correlation[0][1].item<double>(), std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(statistics.combine_similarity.max.item<double>(), 1.0 / (2 * std::sqrt(0.3)),
              1e-6);  // first and last token
}

TEST(RoutingStatistics, OfUniformMixingAreUniform) {
  MoeLayerOptions options;
  options.dim = 4;
  options.hidden_dim = 6;
  options.moe.router = "uniform";
  options.moe.experts = 3;
  options.moe.slots_per_expert = 2;
  MoeLayer layer(options);
  RoutingRecord record;
  layer->forward(torch::randn({2, 13, 4}), &record);
  const auto statistics = routing_statistics(record);
  EXPECT_TRUE(all_close(statistics.token_contribution, torch::full({2, 13}, 6.0 / 13)));
  EXPECT_TRUE(all_close(statistics.expert_importance, torch::ones({3})));
  EXPECT_TRUE(statistics.tokens_per_slot.eq(12).all().item<bool>());  // 90 % of 13
  EXPECT_TRUE(all_close(statistics.slot_correlation, torch::ones({6, 6})));
}

TEST(RoutingStatistics, OfOneSlotHaveNoSimilarityOfSlots) {
  const RoutingRecord record{.dispatch = torch::full({2, 7, 1, 1}, 1.0 / 7),
                             .combine = torch::ones({2, 7, 1, 1})};
  const auto statistics = routing_statistics(record);
  EXPECT_TRUE(statistics.dispatch_similarity.mean.isnan().item<bool>());
  EXPECT_TRUE(statistics.dispatch_similarity.min.isnan().item<bool>());
  EXPECT_TRUE(statistics.dispatch_similarity.max.isnan().item<bool>());
  EXPECT_NEAR(statistics.combine_similarity.mean.item<double>(), 1.0, 1e-6);
}

TEST(RoutingStatistics, NeedWeights) { EXPECT_THROW(routing_statistics({}), c10::ValueError); }

TEST(ColumnSimilarity, LooksAtPairsOfDifferentColumns) {
  const auto vectors =
      torch::tensor({{1.0, 0.0, -2.0}, {0.0, 3.0, 2.0}}, torch::kFloat64);  // [dim, count]
  const auto similarity = column_similarity(vectors);
  const double diagonal = 1.0 / std::sqrt(2.0);
  EXPECT_NEAR(similarity.min.item<double>(), -diagonal, 1e-8);
  EXPECT_NEAR(similarity.max.item<double>(), diagonal, 1e-8);
  EXPECT_NEAR(similarity.mean.item<double>(), 0.0, 1e-8);
}

}  // namespace
}  // namespace softmoe
