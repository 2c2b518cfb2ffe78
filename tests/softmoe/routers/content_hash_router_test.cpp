#include "softmoe/routers/content_hash_router.h"

#include <algorithm>

#include "softmoe/routers/fixed_router_cases.h"
#include "softmoe/routers/hash_maps.h"
#include "support/tensor_matcher.h"

namespace softmoe {

static void PrintTo(ContentCode code, std::ostream* out) {
  *out << (code == ContentCode::kKMeans ? "kmeans" : "projection");
}

}  // namespace softmoe

namespace softmoe::content_hash_router_test {

using test::all_close;
using test::same_bits;
using namespace test::fixed_routers;  // NOLINT: layers and patches

ContentHashRouter content_router(ContentCode kind) {
  return ContentHashRouter(
      layer_options(kind == ContentCode::kKMeans ? "hash_kmeans" : "hash_projection"), kind);
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
  EXPECT_EQ(hash->wanted_sample(), RouterSample::kPatches);
  const auto sample = skewed_patches(6000);
  const auto largest_share = [&](const torch::Tensor& patches) {
    const auto expert = hash->expert_of_code.index_select(0, hash->codes(patches));
    const auto load = torch::bincount(expert, {}, 6);
    return load.max().item<double>() / static_cast<double>(patches.size(0));
  };
  hash->fit(sample, nullptr);
  EXPECT_EQ(hash->wanted_sample(), RouterSample::kNone);
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

}  // namespace softmoe::content_hash_router_test
