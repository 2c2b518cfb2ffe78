/// Routers that follow a fixed rule: by position, by content, at random.

#include <algorithm>

#include "runtime/device.h"
#include "softmoe/routers/fixed_router_cases.h"
#include "softmoe/routers/hash_maps.h"
#include "softmoe/routers/position_hash_router.h"
#include "softmoe/routers/random_router.h"
#include "support/tensor_matcher.h"

namespace softmoe::hash_routers_test {

using test::all_close;
using test::same_bits;
using namespace test::fixed_routers;  // NOLINT: layers and patches

class FixedRouters : public testing::TestWithParam<std::string> {
 protected:
  MoeLayer layer(int64_t experts = 6) const {
    auto layer = seeded_layer(layer_options(GetParam(), experts));
    layer->eval();
    return layer;
  }
};

TEST_P(FixedRouters, OutputIsTheTokensExpertUnscaled) {
  auto moe = layer();
  const auto tokens = seeded_tokens();
  const auto context = skewed_context();
  const auto y = moe->forward(tokens, context);
  const auto expert = experts_of(moe, tokens, context);
  const auto all = moe->experts->forward(
      tokens.flatten(0, 1).unsqueeze(0).expand({6, -1, -1}).contiguous());  // [experts, rows, dim]
  const auto index = expert.flatten().view({1, -1, 1}).expand({1, -1, kDim});
  EXPECT_TRUE(all_close(y.flatten(0, 1), all.gather(0, index).squeeze(0), {.absolute = 1e-6}));
}

TEST_P(FixedRouters, RowsAreTheLargestLoad) {
  auto moe = layer();
  const auto tokens = seeded_tokens();
  const auto context = skewed_context();
  const auto expert = experts_of(moe, tokens, context);
  const auto routed = moe->router().route(tokens, context, nullptr);
  EXPECT_EQ(routed.expert_inputs.size(1), torch::bincount(expert.flatten()).max().item<int64_t>());
  EXPECT_FALSE(routed.rows.gate.defined());
}

TEST_P(FixedRouters, AnImageGoesTheSameWayInEveryBatch) {
  auto moe = layer();
  const auto tokens = seeded_tokens();
  const auto context = skewed_context();
  const auto together = experts_of(moe, tokens, context);
  for (int64_t image = 0; image < kBatch; ++image) {
    const TokenContext alone{.patches = context.patches.narrow(0, image, 1)};
    EXPECT_TRUE(same_bits(experts_of(moe, tokens.narrow(0, image, 1), alone),
                          together.narrow(0, image, 1)));
  }
}

TEST_P(FixedRouters, RoutesTheSameInEveryPrecisionAndOnEveryDevice) {
  // 300 experts, of which the last are used: more than bf16 can count.
  const auto fitted = [this] {
    auto moe = layer(300);
    moe->router().fit(skewed_patches(2000), nullptr);
    for (auto& buffer : moe->named_buffers()) {
      if (buffer.key().starts_with("router.expert_of_")) {
        buffer.value().copy_(299 - buffer.value());
      }
    }
    return moe;
  };
  auto reference = fitted();
  const auto expected = experts_of(reference, seeded_tokens(), skewed_context());
  EXPECT_GT(expected.max().item<int64_t>(), 256);
  for (const auto& device : present_devices()) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kFloat64}) {
      auto moe = fitted();
      moe->to(dtype);
      moe->to(device, dtype);
      const TokenContext context{.patches = skewed_context().patches.to(device, dtype)};
      EXPECT_TRUE(
          same_bits(experts_of(moe, seeded_tokens().to(device, dtype), context).cpu(), expected))
          << dtype;
    }
  }
}

TEST_P(FixedRouters, CloneKeepsTheMap) {
  auto options = layer_options(GetParam());
  auto moe = seeded_layer(options);
  moe->eval();
  moe->router().fit(skewed_patches(2000), nullptr);
  const auto expected = experts_of(moe, seeded_tokens(), skewed_context());
  MoeLayer clone(std::dynamic_pointer_cast<MoeLayerImpl>(moe->clone()));
  EXPECT_TRUE(same_bits(experts_of(clone, seeded_tokens(), skewed_context()), expected));
}

TEST_P(FixedRouters, HasNoParametersAndIntegerBuffers) {
  const auto handle = make_router(layer_options(GetParam()));
  EXPECT_TRUE(handle.module->parameters().empty());
  EXPECT_FALSE(handle.module->buffers().empty());
  for (const auto& buffer : handle.module->named_buffers()) {
    EXPECT_EQ(buffer.value().scalar_type(), torch::kInt64) << buffer.key();
  }
}

TEST_P(FixedRouters, HasNoScores) {
  auto moe = layer();
  RoutingRecord record{.wants = {.weights = false, .scores = true}};
  moe->forward(seeded_tokens(), skewed_context(), &record);
  EXPECT_FALSE(record.scores.logits.defined());
}

INSTANTIATE_TEST_SUITE_P(Routers, FixedRouters,
                         testing::Values("hash_random", "hash_block", "hash_modulo",
                                         "hash_projection", "hash_kmeans", "random"),
                         [](const auto& entry) { return entry.param; });

class FixedHashes : public FixedRouters {};

TEST_P(FixedHashes, RouteTheSameInTrainingAndEvaluation) {
  auto moe = layer();
  const auto expected = experts_of(moe, seeded_tokens(), skewed_context());
  moe->train();
  EXPECT_TRUE(same_bits(experts_of(moe, seeded_tokens(), skewed_context()), expected));
}

TEST_P(FixedHashes, DoNotLookAtTokens) {
  auto moe = layer();
  EXPECT_TRUE(same_bits(experts_of(moe, seeded_tokens() * -2 + 1, skewed_context()),
                        experts_of(moe, seeded_tokens(), skewed_context())));
}

INSTANTIATE_TEST_SUITE_P(Routers, FixedHashes,
                         testing::Values("hash_random", "hash_block", "hash_modulo",
                                         "hash_projection", "hash_kmeans"),
                         [](const auto& entry) { return entry.param; });

TEST(PositionHashRouter, FollowsItsRuleWithTheClassTokenAsAPosition) {
  const std::map<std::string, torch::Tensor> maps{{"hash_random", balanced_map(kTokens, 6, 0)},
                                                  {"hash_block", block_map(kTokens, 6)},
                                                  {"hash_modulo", modulo_map(kTokens, 6)},
                                                  {"random", balanced_map(kTokens, 6, 0)}};
  for (const auto& [router, map] : maps) {
    auto layer = seeded_layer(layer_options(router));
    layer->eval();
    EXPECT_TRUE(same_bits(experts_of(layer, seeded_tokens(), {}), map.expand({kBatch, kTokens})))
        << router;
  }
}

TEST(PositionHashRouter, SeedChoosesTheMap) {
  auto options = layer_options("hash_random");
  options.moe.sparse.hash_seed = 5;
  const PositionHashRouter router(options, PositionRule::kBalanced);
  EXPECT_TRUE(same_bits(router->expert_of_position, balanced_map(kTokens, 6, 5)));
}

TEST(PositionHashRouter, NeedsAsManyTokensAsItsOptionsSay) {
  auto layer = seeded_layer(layer_options("hash_block"));
  EXPECT_THROW(layer->forward(torch::zeros({2, kTokens + 1, kDim})), c10::ValueError);
  auto unknown = layer_options("hash_block");
  unknown.tokens = 0;
  EXPECT_THROW(seeded_layer(unknown), c10::ValueError);
}

TEST(RandomRouter, IsBalancedAndDiffersAtEveryStepOfTraining) {
  auto layer = seeded_layer(layer_options("random"));
  const auto tokens = seeded_tokens();
  torch::manual_seed(41);
  const auto first = experts_of(layer, tokens, {});
  const auto second = experts_of(layer, tokens, {});
  EXPECT_FALSE(first.equal(second));
  EXPECT_FALSE(first[0].equal(first[1]));
  for (const auto& expert : {first, second}) {
    const auto load = torch::bincount(expert.flatten(), {}, 6);
    EXPECT_LE((load.max() - load.min()).item<int64_t>(), 1);
  }
  torch::manual_seed(41);
  EXPECT_TRUE(same_bits(experts_of(layer, tokens, {}), first));
}

TEST(RandomRouter, IsFixedInEvaluation) {
  auto layer = seeded_layer(layer_options("random"));
  layer->eval();
  torch::manual_seed(43);
  const auto first = experts_of(layer, seeded_tokens(), {});
  const auto second = experts_of(layer, seeded_tokens(), {});
  EXPECT_TRUE(same_bits(first, second));
  EXPECT_TRUE(same_bits(first[1], first[0]));
}

}  // namespace softmoe::hash_routers_test
