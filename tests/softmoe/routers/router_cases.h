#pragma once
/// Layers of any router, for tests over all rows of the table of routers.

#include <string>
#include <vector>

#include "softmoe/moe_layer.h"
#include "softmoe/router_losses.h"
#include "softmoe/routers.h"
#include "softmoe/routers/small_layers.h"

namespace softmoe::test::any_router {

inline constexpr int64_t kGridHeight = 3;
inline constexpr int64_t kGridWidth = 5;
inline constexpr int64_t kTokens = kGridHeight * kGridWidth;
inline constexpr int64_t kDim = 12;
inline constexpr int64_t kPixels = 7;

inline MoeLayerOptions layer_options(const std::string& router, int64_t experts, int64_t slots) {
  MoeLayerOptions options;
  options.dim = kDim;
  options.hidden_dim = 20;
  options.tokens = kTokens;
  options.grid_height = kGridHeight;
  options.grid_width = kGridWidth;
  options.patch_pixels = kPixels;
  options.moe.router = router;
  options.moe.experts = experts;
  options.moe.slots_per_expert = slots;
  return options;
}

/// A layer in training, whose router has seen a sample of patches.
inline MoeLayer seeded_layer(const MoeLayerOptions& options) {
  torch::manual_seed(17);
  MoeLayer layer(options);
  layer->router().fit(torch::rand({64, kPixels}), /*twin=*/nullptr);
  return layer;
}

inline torch::Tensor seeded_tokens(int64_t batch) {
  torch::manual_seed(18);
  return torch::randn({batch, kTokens, kDim});
}

/// What a model around the layer would know of the same images.
inline TokenContext seeded_context(int64_t batch, torch::Device device = torch::kCPU) {
  torch::manual_seed(19);
  return {.patches = torch::rand({batch, kTokens, kPixels}).to(device)};
}

/// The layer's output, drawn alike however often it is asked for.
inline torch::Tensor seeded_forward(MoeLayer& layer, const torch::Tensor& tokens,
                                    RoutingRecord* record = nullptr) {
  const auto context = seeded_context(tokens.size(0), tokens.device());
  torch::manual_seed(20);
  return layer->forward(tokens, context, record);
}

/// The losses of a training step: one of the outputs, and the router's own.
inline torch::Tensor objective(const RouterRow& row, const torch::Tensor& y,
                               const RoutingRecord& record) {
  torch::manual_seed(21);
  const auto image_losses = torch::rand({y.size(0)}).to(y.device());
  const auto own = router_losses(default_router_losses(row), record.scores, image_losses).total;
  const auto task = y.to(torch::kFloat32).square().sum();  // []
  return own.defined() ? task + own : task;
}

/// What every expert makes of every token: [experts, batch * tokens, dim].
inline torch::Tensor all_expert_outputs(MoeLayer& layer, const torch::Tensor& tokens) {
  const auto flat = tokens.flatten(0, 1);  // [batch * tokens, dim]
  return layer->experts->forward(
      flat.expand({layer->options().moe.experts, flat.size(0), flat.size(1)}).contiguous());
}

/// One expert, several slots, as many experts as tokens, and where the router can, more.
inline std::vector<MoeLayerOptions> router_sizes(const std::string& router) {
  std::vector<MoeLayerOptions> sizes{layer_options(router, 1, kTokens), layer_options(router, 5, 3),
                                     layer_options(router, kTokens, 1)};
  if (router != "identity") {
    sizes.push_back(layer_options(router, kTokens + 7, 1));
    sizes.push_back(layer_options(router, 4, 2));
    sizes.push_back(layer_options(router, 6, 0));  // by the capacity factor
  }
  return sizes;
}

inline std::string size_text(const MoeLayerOptions& options) {
  return std::to_string(options.moe.experts) + " experts of " +
         std::to_string(options.moe.slots_per_expert) + " slots";
}

}  // namespace softmoe::test::any_router
