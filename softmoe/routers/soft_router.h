#pragma once
/// Soft MoE's router and the ablations of its two mixing steps.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/moe_options.h"
#include "softmoe/router.h"
#include "softmoe/routers.h"

namespace softmoe {

/// Parameters: `phi` [dim, experts, slots_per_expert] and `scale` [], both only if a step is
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
  /// What a pass in the present mode mixes by.
  SoftMixingOptions mixing_options() const;
  void fill(RoutingRecord& record, const SoftMix& mix) const;

  MoeLayerOptions options_;
  SoftMixing mixing_;
  int64_t slots_per_expert_;
};
TORCH_MODULE(SoftRouter);

/// What soft routing and its ablations cost.
RouterCost soft_router_cost(const MoeLayerOptions& options, SoftMixing mixing);

}  // namespace softmoe
