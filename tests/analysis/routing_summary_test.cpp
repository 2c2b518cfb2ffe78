#include "analysis/routing_summary.h"

#include <gmock/gmock.h>

#include "analysis/routing_statistics.h"
#include "core/error.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

VisionTransformer frozen_model(const VitOptions& options) {
  auto model = test::lively_model(options);
  model->eval();
  return model;
}

/// Random soft routing weights of 7 tokens, 3 experts of 2 slots.
RoutingRecord random_record(int64_t batch) {
  torch::manual_seed(4);
  const auto logits = 3 * torch::randn({batch, 7, 6});  // [batch, tokens, slots]
  return {.dispatch = logits.softmax(1).unflatten(2, {3, 2}),
          .combine = logits.softmax(2).unflatten(2, {3, 2})};
}

TEST(RecordRouting, RecordsEveryMoeBlock) {
  const auto options = test::small_moe_options();
  auto model = frozen_model(options);
  const auto records = record_routing(model, "tiny.h5", test::random_images(options));
  ASSERT_EQ(records.size(), 2U);
  for (const int64_t block : {1, 2}) {
    const auto& record = records.at(block);
    EXPECT_EQ(record.dispatch.sizes(), torch::IntArrayRef({2, 6, 3, 2}));
    EXPECT_TRUE(test::all_close(record.dispatch.sum(1), torch::ones({2, 3, 2})));
    EXPECT_TRUE(test::all_close(record.combine.flatten(2).sum(2), torch::ones({2, 6})));
  }
}

TEST(RecordRouting, AModelWithoutMoeBlocksIsAnInputError) {
  auto model = frozen_model(test::small_options());
  const auto images = test::random_images(test::small_options());
  EXPECT_THAT([&] { record_routing(model, "tiny.h5", images); },
              ThrowsMessage<InputError>(HasSubstr("tiny.h5: expected a model with MoE layers")));
}

TEST(RecordRouting, ARouterThatMergesExpertsIsAnInputError) {
  const auto options = test::small_moe_options("smear");
  auto model = frozen_model(options);
  EXPECT_THAT([&] { record_routing(model, "tiny.h5", test::random_images(options)); },
              ThrowsMessage<InputError>(HasSubstr("a router with dispatch and combine weights")));
}

TEST(RoutingSummary, DoesNotDependOnTheBatches) {
  const auto record = random_record(5);
  RoutingSummary together;
  together.add({{2, record}});
  RoutingSummary apart;
  for (const auto& [first, last] : {std::pair{0, 1}, {1, 3}, {3, 5}}) {
    apart.add({{2,
                {.dispatch = record.dispatch.slice(0, first, last),
                 .combine = record.combine.slice(0, first, last)}}});
  }
  const auto one = together.layers().at(0);
  const auto three = apart.layers().at(0);
  EXPECT_EQ(one.block, 2);
  EXPECT_EQ(one.tokens, 7);
  EXPECT_EQ(one.experts, 3);
  EXPECT_EQ(one.slots_per_expert, 2);
  EXPECT_NEAR(one.tokens_for_90_percent, three.tokens_for_90_percent, 1e-9);
  EXPECT_NEAR(one.contribution_above_2, three.contribution_above_2, 1e-9);
  EXPECT_NEAR(one.contribution_up_to_quarter, three.contribution_up_to_quarter, 1e-9);
  EXPECT_NEAR(one.dispatch_max, three.dispatch_max, 1e-6);
  EXPECT_NEAR(one.combine_max, three.combine_max, 1e-6);
  EXPECT_NEAR(one.dispatch_similarity, three.dispatch_similarity, 1e-6);
  EXPECT_NEAR(one.combine_similarity, three.combine_similarity, 1e-6);
  for (size_t expert = 0; expert < 3; ++expert) {
    EXPECT_NEAR(one.expert_importance[expert], three.expert_importance[expert], 1e-6);
  }
}

TEST(RoutingSummary, AgreesWithTheStatisticsOfTheLayer) {
  const auto record = random_record(4);
  RoutingSummary summary;
  summary.add({{0, record}});
  const auto layer = summary.layers().at(0);
  const auto statistics = routing_statistics(record);
  EXPECT_TRUE(test::all_close(torch::tensor(layer.expert_importance, torch::kFloat32),
                              statistics.expert_importance));
  EXPECT_NEAR(layer.importance_spread(), statistics.expert_importance.max().item<double>(), 1e-5);
  EXPECT_NEAR(layer.tokens_for_90_percent,
              statistics.tokens_per_slot.to(torch::kFloat32).mean().item<double>(), 1e-5);
}

TEST(RoutingSummary, CountsTokensByTheirContribution) {
  // Two slots over four tokens, and the same two again: contributions 3.8, 0.2, 0 and 0.
  const auto dispatch =
      torch::tensor({{0.9, 1.0}, {0.1, 0.0}, {0.0, 0.0}, {0.0, 0.0}}, torch::kFloat32)
          .view({1, 4, 1, 2});  // [batch, tokens, experts, slots_per_expert]
  const auto more =
      torch::cat({dispatch, dispatch}, 2);  // [batch, tokens, experts, slots_per_expert]
  RoutingSummary summary;
  summary.add({{0, {.dispatch = more, .combine = torch::full({1, 4, 2, 2}, 0.25)}}});
  const auto layer = summary.layers().at(0);
  EXPECT_DOUBLE_EQ(layer.contribution_above_2, 0.25);
  EXPECT_DOUBLE_EQ(layer.contribution_up_to_quarter, 0.75);
  EXPECT_NEAR(layer.dispatch_max, 0.95, 1e-6);
  EXPECT_NEAR(layer.combine_max, 0.25, 1e-6);
  EXPECT_THAT(layer.expert_importance, ElementsAre(1.0, 1.0));
  EXPECT_NEAR(layer.combine_similarity, 1.0, 1e-5);
}

TEST(RoutingSummary, JsonHasEveryNumber) {
  RoutingSummary summary;
  summary.add({{3, random_record(2)}});
  const auto json = to_json(summary.layers().at(0));
  for (const auto* key :
       {"block", "tokens", "experts", "slots_per_expert", "importance_spread",
        "tokens_for_90_percent", "contribution_above_2", "contribution_up_to_quarter",
        "dispatch_max", "combine_max", "dispatch_similarity", "combine_similarity"}) {
    EXPECT_TRUE(json.at(key).is_number()) << key;
  }
  EXPECT_EQ(json.at("expert_importance").size(), 3U);
}

/// Six tokens of two images and four experts; expert 3 gets none, and one token reaches no expert.
RoutingRecord sparse_record() {
  const auto dispatch = torch::tensor({{{1, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 0}},
                                       {{1, 0, 0, 0}, {0, 0, 1, 0}, {1, 0, 0, 0}}},
                                      torch::kFloat32)
                            .unsqueeze(-1);  // [batch, tokens, experts, 1]
  const auto gates = torch::tensor({0.5, 1.0, 0.25, 1.0}, torch::kFloat32).view({1, 1, 4, 1});
  return {.dispatch = dispatch, .combine = dispatch * gates};
}

TEST(RoutingSummary, CountsTokensOfSparseLayers) {
  RoutingSummary together(RoutingKind::kSparse);
  together.add({{4, sparse_record()}});
  const auto layer = together.layers().at(0);
  EXPECT_TRUE(layer.is_sparse);
  EXPECT_THAT(layer.expert_load, ElementsAre(4 / 1.5, 1 / 1.5, 1 / 1.5, 0.0));
  EXPECT_THAT(layer.expert_importance, ElementsAre(2 / 0.8125, 1 / 0.8125, 0.25 / 0.8125, 0.0));
  EXPECT_NEAR(layer.experts_per_token, 1.0, 1e-6);
  EXPECT_NEAR(layer.dropped, 1.0 / 6, 1e-6);
  EXPECT_NEAR(layer.combine_max, (1.0 + 0.5 + 0 + 0.5 + 0.25 + 0.5) / 6, 1e-6);
  const auto json = to_json(layer);
  EXPECT_EQ(json.at("idle_experts"), 1);
  EXPECT_NEAR(json.at("busiest_expert").get<double>(), 4 / 1.5, 1e-9);
  EXPECT_EQ(json.at("dropped"), layer.dropped);
  EXPECT_FALSE(json.contains("tokens_for_90_percent"));  // a slot's, and here are none
  RoutingSummary apart(RoutingKind::kSparse);
  for (const int64_t image : {0, 1}) {
    const auto record = sparse_record();
    apart.add({{4,
                {.dispatch = record.dispatch.slice(0, image, image + 1),
                 .combine = record.combine.slice(0, image, image + 1)}}});
  }
  EXPECT_EQ(apart.layers().at(0).expert_load, layer.expert_load);
  EXPECT_NEAR(apart.layers().at(0).dropped, layer.dropped, 1e-9);
}

TEST(RoutingSummary, KnowsEverySparseRouterOfTheTable) {
  for (const auto& row : router_rows()) {
    if (row.kind != RoutingKind::kSparse) {
      continue;
    }
    const auto options = test::small_moe_options(std::string(row.name));
    auto model = frozen_model(options);
    RoutingSummary summary(row.kind);
    summary.add(record_routing(model, "tiny.h5", test::random_images(options, 3)));
    for (const auto& layer : summary.layers()) {
      EXPECT_EQ(layer.experts, 3) << row.name;
      EXPECT_EQ(layer.slots_per_expert, 1) << row.name;
      EXPECT_GT(layer.experts_per_token, 0.0) << row.name;
      EXPECT_GE(layer.dropped, 0.0) << row.name;
      EXPECT_LT(layer.dropped, 1.0) << row.name;
    }
  }
}

}  // namespace
}  // namespace softmoe
