/// Routers that follow a fixed rule: by position, by content, at random.

#include <algorithm>

#include "runtime/device.h"
#include "softmoe/moe_layer.h"
#include "softmoe/routers/content_hash_router.h"
#include "softmoe/routers/hash_maps.h"
#include "softmoe/routers/position_hash_router.h"
#include "softmoe/routers/random_router.h"
#include "support/tensor_matcher.h"

namespace softmoe {

static void PrintTo(ContentCode code, std::ostream* out) {
  *out << (code == ContentCode::kKMeans ? "kmeans" : "projection");
}

}  // namespace softmoe

namespace softmoe::hash_routers_test {

using test::all_close;
using test::same_bits;

constexpr int64_t kBatch = 3;
constexpr int64_t kPatches = 20;
constexpr int64_t kTokens = kPatches + 1;  // a class token before the patches
constexpr int64_t kDim = 12;
constexpr int64_t kPixels = 27;

MoeLayerOptions layer_options(const std::string& router, int64_t experts = 6) {
  MoeLayerOptions options;
  options.dim = kDim;
  options.hidden_dim = 10;
  options.tokens = kTokens;
  options.grid_height = 4;
  options.grid_width = 5;
  options.patch_pixels = kPixels;
  options.moe.router = router;
  options.moe.experts = experts;
  options.moe.sparse.hash_codes = 32;
  return options;
}

MoeLayer seeded_layer(const MoeLayerOptions& options) {
  torch::manual_seed(17);
  return MoeLayer(options);
}

torch::Tensor seeded_tokens(int64_t batch = kBatch) {
  torch::manual_seed(18);
  return torch::randn({batch, kTokens, kDim});
}

/// Patches of which some kinds are much more frequent than others.
torch::Tensor skewed_patches(int64_t count, uint64_t seed = 19) {
  torch::manual_seed(seed);
  const auto kinds = (40 * torch::rand({count}).pow(4)).to(torch::kInt64);  // [count]
  torch::manual_seed(20);
  const auto prototypes = torch::rand({41, kPixels}) * 2 - 1;
  return prototypes.index_select(0, kinds) + 0.02 * torch::randn({count, kPixels});
}

TokenContext skewed_context(int64_t batch = kBatch) {
  return {.patches = skewed_patches(batch * kPatches).view({batch, kPatches, kPixels})};
}

ContentHashRouter content_router(ContentCode kind) {
  return ContentHashRouter(
      layer_options(kind == ContentCode::kKMeans ? "hash_kmeans" : "hash_projection"), kind);
}

/// Which expert each token reached, [batch, tokens]; every token must reach just one, as it is.
torch::Tensor experts_of(MoeLayer& layer, const torch::Tensor& tokens,
                         const TokenContext& context) {
  RoutingRecord record{.wants = {.weights = true, .load = true}};
  layer->forward(tokens, context, &record);
  EXPECT_TRUE(
      same_bits(record.dispatch.sum({2, 3}), torch::ones(record.dispatch.sizes().slice(0, 2))));
  EXPECT_TRUE(same_bits(record.combine, record.dispatch));
  EXPECT_EQ(record.load.dropped.item<double>(), 0.0);
  EXPECT_TRUE(
      all_close(record.load.load, record.dispatch.mean({0, 1}).squeeze(-1), {.absolute = 1e-6}));
  return record.dispatch.squeeze(-1).argmax(-1);  // [batch, tokens]
}

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

class ContentHashes : public testing::TestWithParam<ContentCode> {
 protected:
  ContentHashRouter router() const { return content_router(GetParam()); }
};

TEST_P(ContentHashes, PatchesGoByCodeAndOtherTokensByPosition) {
  auto hash = router();
  const auto context = skewed_context();
  const auto routed = hash->route(seeded_tokens(), context, nullptr);
  const auto codes = hash->codes(context.patches.flatten(0, 1)).view({kBatch, kPatches});
  const auto expected =
      torch::cat({torch::zeros({kBatch, 1}, torch::kInt64), codes.remainder(6)}, 1);
  EXPECT_TRUE(same_bits(routed.rows.token, rows_of_experts(expected, {}, 6).token));
  const auto alone = hash->route(seeded_tokens(), {}, nullptr);
  EXPECT_TRUE(
      same_bits(alone.rows.token,
                rows_of_experts(modulo_map(kTokens, 6).expand({kBatch, kTokens}), {}, 6).token));
}

TEST_P(ContentHashes, EqualPatchesHaveEqualCodesAndNearOnesMostly) {
  const auto hash = router();
  const auto patches = skewed_patches(500);
  const auto codes = hash->codes(patches);
  EXPECT_GE(codes.min().item<int64_t>(), 0);
  EXPECT_LT(codes.max().item<int64_t>(), 32);
  for (const int64_t i : {0, 7, 499}) {
    EXPECT_TRUE(same_bits(hash->codes(patches.narrow(0, i, 1)), codes.narrow(0, i, 1)));
  }
  torch::manual_seed(23);
  const auto near = hash->codes(patches + 1e-3 * torch::randn_like(patches));
  EXPECT_GT((near == codes).to(torch::kFloat64).mean().item<double>(), 0.9);
  const auto far = hash->codes(-patches);
  EXPECT_LT((far == codes).to(torch::kFloat64).mean().item<double>(), 0.1);
}

TEST_P(ContentHashes, LayersShareTheCodesOfAForwardPass) {
  auto first = router();
  auto second = router();
  const auto context = skewed_context();
  const auto expected = first->route(seeded_tokens(), context, nullptr).rows.token;
  ASSERT_TRUE(context.codes.defined());
  EXPECT_EQ(context.codes.sizes(), (std::vector<int64_t>{kBatch, kPatches}));
  // A second layer takes what is there: without the pixels it comes to the same.
  const TokenContext blank{.patches = torch::zeros_like(context.patches), .codes = context.codes};
  EXPECT_TRUE(same_bits(second->route(seeded_tokens(), blank, nullptr).rows.token, expected));
}

TEST_P(ContentHashes, FitBalancesTheLoadOfSkewedPatches) {
  auto hash = router();
  EXPECT_TRUE(hash->wants_sample());
  const auto sample = skewed_patches(6000);
  const auto largest_share = [&](const torch::Tensor& patches) {
    const auto expert = hash->expert_of_code.index_select(0, hash->codes(patches));
    const auto load = torch::bincount(expert, {}, 6);
    return load.max().item<double>() / static_cast<double>(patches.size(0));
  };
  hash->fit(sample, nullptr);
  EXPECT_FALSE(hash->wants_sample());
  const auto codes = hash->codes(sample);
  const double modulo = torch::bincount(codes.remainder(6), {}, 6).max().item<double>() / 6000.0;
  const double most_frequent = torch::bincount(codes).max().item<double>() / 6000.0;
  // No dealing can split one code.
  const double bound = std::max(1.0 / 6, most_frequent);
  EXPECT_LT(largest_share(sample), bound + 0.02);
  EXPECT_LT(largest_share(sample), modulo);
  EXPECT_LT(largest_share(skewed_patches(3000, 29)), bound + 0.06);  // unseen ones
}

TEST_P(ContentHashes, FitGivesTheSameForTheSameSampleAndIsTakenOver) {
  auto first = router();
  auto second = router();
  auto taker = router();
  const auto sample = skewed_patches(1500);
  first->fit(sample, nullptr);
  second->fit(sample, nullptr);
  taker->fit(sample.slice(0, 0, 1), first.get());
  for (const auto& buffer : first->named_buffers()) {
    EXPECT_TRUE(same_bits(second->named_buffers()[buffer.key()], buffer.value())) << buffer.key();
    EXPECT_TRUE(same_bits(taker->named_buffers()[buffer.key()], buffer.value())) << buffer.key();
  }
  auto options = layer_options("hash_kmeans");
  options.moe.sparse.hash_seed = 9;
  auto other = ContentHashRouter(options, GetParam());
  other->fit(sample, nullptr);
  EXPECT_FALSE(other->codes(sample).equal(first->codes(sample)));
}

TEST_P(ContentHashes, FitsAFewPatchesToo) {
  auto hash = router();
  hash->fit(skewed_patches(3), nullptr);
  const auto expert = hash->expert_of_code;
  EXPECT_GE(expert.min().item<int64_t>(), 0);
  EXPECT_EQ(torch::bincount(expert, {}, 6).min().item<int64_t>() > 0, true);
  EXPECT_EQ(hash->codes(skewed_patches(40)).size(0), 40);
}

TEST_P(ContentHashes, RefusePatchesOfAnotherSize) {
  auto hash = router();
  EXPECT_THROW(hash->fit(torch::zeros({4, kPixels + 1}), nullptr), c10::ValueError);
  const TokenContext other{.patches = torch::zeros({kBatch, kPatches, kPixels - 1})};
  EXPECT_THROW(hash->route(seeded_tokens(), other, nullptr), c10::ValueError);
  const TokenContext many{.patches = torch::zeros({kBatch, kTokens + 1, kPixels})};
  EXPECT_THROW(hash->route(seeded_tokens(), many, nullptr), c10::ValueError);
}

INSTANTIATE_TEST_SUITE_P(Codes, ContentHashes,
                         testing::Values(ContentCode::kProjection, ContentCode::kKMeans),
                         [](const auto& entry) { return testing::PrintToString(entry.param); });

TEST(ContentHashRouter, FittedProjectionsSplitTheSampleInHalves) {
  auto hash = content_router(ContentCode::kProjection);
  torch::manual_seed(31);
  // Bright patches: without the medians, brightness alone would decide every bit.
  const auto sample = 0.8 + 0.1 * torch::rand({2000, kPixels});
  EXPECT_LT(std::get<0>(torch::_unique(hash->codes(sample))).size(0), 4);
  hash->fit(sample, nullptr);
  const auto codes = hash->codes(sample);
  for (int64_t bit = 0; bit < 5; ++bit) {
    const auto share = codes.bitwise_right_shift(bit).bitwise_and(1).to(torch::kFloat64).mean();
    EXPECT_NEAR(share.item<double>(), 0.5, 0.05) << bit;
  }
}

TEST(ContentHashRouter, ProjectionsTakeTheLargestPowerOfTwo) {
  auto options = layer_options("hash_projection");
  options.moe.sparse.hash_codes = 100;
  EXPECT_EQ(ContentHashRouter(options, ContentCode::kProjection)->expert_of_code.size(0), 64);
  EXPECT_EQ(ContentHashRouter(options, ContentCode::kKMeans)->expert_of_code.size(0), 100);
  options.moe.sparse.hash_codes = 1;
  EXPECT_THROW(ContentHashRouter(options, ContentCode::kProjection), c10::ValueError);
  EXPECT_THROW(ContentHashRouter(options, ContentCode::kKMeans), c10::ValueError);
}

TEST(ContentHashRouter, CostsItsProductOnceAModel) {
  const auto options = layer_options("hash_kmeans");
  const auto kmeans = content_hash_cost(options, ContentCode::kKMeans);
  EXPECT_EQ(kmeans.shared_multiply_adds, 20.0 * 27 * 32);
  EXPECT_EQ(kmeans.multiply_adds, 0.0);
  EXPECT_EQ(kmeans.expert_rows, 21.0);
  EXPECT_EQ(content_hash_cost(options, ContentCode::kProjection).shared_multiply_adds,
            20.0 * 27 * 5);
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
