#pragma once
/// Soft MoE's router and the ablations of its two mixing steps.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/moe_options.h"
#include "softmoe/router.h"
#include "softmoe/routers.h"
#include "softmoe/routers/soft_routing.h"

namespace softmoe {

/// What mixes tokens into slots, and slot outputs into tokens (paper, section 3.5 and table 3).
enum class SoftMixing {
  kSoft,         ///< both learned: Soft MoE
  kSoftUniform,  ///< learned dispatch, uniform combine
  kUniformSoft,  ///< uniform dispatch, learned combine
  kUniform,      ///< averages of all tokens and of all slots
  kIdentity,     ///< token i is slot i; needs tokens = slots
};

/// Parameters: `phi` [dim, experts, slots_per_expert] and `scale` [], both only where a step is
/// learned. Source: Puigcerver et al., arXiv:2308.00951.
class SoftRouterImpl : public torch::nn::Cloneable<SoftRouterImpl>, public Router {
 public:
  SoftRouterImpl(const MoeLayerOptions& options, SoftMixing mixing);

  void reset() override;
  Routed route(const torch::Tensor& tokens, const TokenContext& context,
               RoutingRecord* record) override;
  torch::Tensor combine(const Routed& routed, const torch::Tensor& expert_outputs) override;

  torch::Tensor phi;
  torch::Tensor scale;

 private:
  SoftRouting weights(const torch::Tensor& tokens, RoutingScores* scores);
  void fill_weights(RoutingRecord& record, const SoftRouting& routing) const;
  /// `combine` [batch, tokens, slots].
  void fill_load(RoutingRecord& record, const torch::Tensor& combine) const;
  torch::Tensor rounded(const torch::Tensor& x) const;
  /// Whether the fused operators do the mixing of `x`, tokens or expert outputs.
  bool is_fused(const torch::Tensor& x) const;

  MoeLayerOptions options_;
  SoftMixing mixing_;
  int64_t slots_per_expert_;
};
TORCH_MODULE(SoftRouter);

/// What soft routing and its ablations cost.
RouterCost soft_router_cost(const MoeLayerOptions& options, SoftMixing mixing);

}  // namespace softmoe
