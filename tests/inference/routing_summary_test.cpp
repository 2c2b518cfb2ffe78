#include "inference/routing_summary.h"

#include <gmock/gmock.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "softmoe/routing_statistics.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

VitOptions tiny_options() {
  VitOptions options;
  options.img_size = {8, 12};
  options.patch_size = 4;
  options.num_classes = 5;
  options.dim = 20;
  options.depth = 4;
  options.heads = 2;
  options.mlp_dim = 24;
  options.moe_blocks = "1,3";
  options.moe.experts = 3;
  options.moe.slots_per_expert = 2;
  return options;
}

VisionTransformer tiny_model(const VitOptions& options) {
  auto model = make_model(options, /*seed=*/1);
  model->eval();
  return model;
}

torch::Tensor some_images(int64_t count) {
  torch::manual_seed(3);
  return torch::randn({count, 3, 8, 12});  // [images, channels, height, width]
}

/// Random soft routing weights of 7 tokens, 3 experts of 2 slots.
RoutingRecord random_record(int64_t batch) {
  torch::manual_seed(4);
  const auto logits = 3 * torch::randn({batch, 7, 6});  // [batch, tokens, slots]
  return {.dispatch = logits.softmax(1).unflatten(2, {3, 2}),
          .combine = logits.softmax(2).unflatten(2, {3, 2})};
}

TEST(RecordRouting, RecordsEveryMoeBlock) {
  auto model = tiny_model(tiny_options());
  const auto records = record_routing(model, "tiny.h5", some_images(2));
  ASSERT_EQ(records.size(), 2U);
  for (const int64_t block : {1, 3}) {
    const auto& record = records.at(block);
    EXPECT_EQ(record.dispatch.sizes(), torch::IntArrayRef({2, 6, 3, 2}));
    EXPECT_TRUE(test::all_close(record.dispatch.sum(1), torch::ones({2, 3, 2})));
    EXPECT_TRUE(test::all_close(record.combine.flatten(2).sum(2), torch::ones({2, 6})));
  }
}

TEST(RecordRouting, AModelWithoutMoeBlocksIsAnInputError) {
  auto options = tiny_options();
  options.moe_blocks = "none";
  auto model = tiny_model(options);
  EXPECT_THAT([&] { record_routing(model, "tiny.h5", some_images(1)); },
              ThrowsMessage<InputError>(HasSubstr("tiny.h5: expected a model with MoE layers")));
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

}  // namespace
}  // namespace softmoe
