#pragma once
/// Layers, tokens and patches for tests of routers that follow a fixed rule.

#include <string>

#include "softmoe/moe_layer.h"
#include "support/tensor_matcher.h"

namespace softmoe::test::fixed_routers {

inline constexpr int64_t kBatch = 3;
inline constexpr int64_t kPatches = 20;
inline constexpr int64_t kTokens = kPatches + 1;  // a class token before the patches
inline constexpr int64_t kDim = 12;
inline constexpr int64_t kPixels = 27;

inline MoeLayerOptions layer_options(const std::string& router, int64_t experts = 6) {
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

inline MoeLayer seeded_layer(const MoeLayerOptions& options) {
  torch::manual_seed(17);
  return MoeLayer(options);
}

inline torch::Tensor seeded_tokens(int64_t batch = kBatch) {
  torch::manual_seed(18);
  return torch::randn({batch, kTokens, kDim});
}

/// Patches of which some kinds are much more frequent than others.
inline torch::Tensor skewed_patches(int64_t count, uint64_t seed = 19) {
  torch::manual_seed(seed);
  const auto kinds = (40 * torch::rand({count}).pow(4)).to(torch::kInt64);  // [count]
  torch::manual_seed(20);
  const auto prototypes = torch::rand({41, kPixels}) * 2 - 1;
  return prototypes.index_select(0, kinds) + 0.02 * torch::randn({count, kPixels});
}

inline TokenContext skewed_context(int64_t batch = kBatch) {
  return {.patches = skewed_patches(batch * kPatches).view({batch, kPatches, kPixels})};
}

/// Which expert each token reached, [batch, tokens]; every token must reach just one, as it is.
inline torch::Tensor experts_of(MoeLayer& layer, const torch::Tensor& tokens,
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

}  // namespace softmoe::test::fixed_routers
