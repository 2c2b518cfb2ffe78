#pragma once
/// Soft MoE's router and the ablations of its two mixing steps.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/moe_options.h"
#include "softmoe/router.h"
#include "softmoe/routers.h"

namespace softmoe {

/// Parameters: `phi` [dim, experts, slots_per_expert] and `scale` [], both only if a step is
/// learned, and `combine_scale` [] with MoeOptions::separate_scales; router_scale() says what the
/// latter two stand for. With PhiInit::kKMeans `phi` is zero until fit().
/// Source: Puigcerver et al., arXiv:2308.00951.
class SoftRouterImpl : public torch::nn::Cloneable<SoftRouterImpl>, public Router {
 public:
  SoftRouterImpl(const MoeLayerOptions& options, SoftMixing mixing);

  void reset() override;
  Routed route(const torch::Tensor& tokens, const TokenContext& context,
               RoutingRecord* record) override;
  torch::Tensor combine(const Routed& routed, const torch::Tensor& expert_outputs) override;
  RouterSample wanted_sample() const override;
  /// Sets `phi` by k-means of the directions of tokens `sample` [count, dim]: each slot points from
  /// the mean direction to a center. Slots for which there is no center of their own are random.
  void fit(const torch::Tensor& sample, const Router* twin) override;

  torch::Tensor phi;
  torch::Tensor scale;
  torch::Tensor combine_scale;

 private:
  /// What a pass in the present mode mixes by.
  SoftMixingOptions mixing_options() const;
  void fill(RoutingRecord& record, const SlotParameters& parameters, const SoftMix& mix) const;
  /// Standard deviation of the initial values of `phi`.
  double phi_deviation() const;

  MoeLayerOptions options_;
  SoftMixing mixing_;
  int64_t slots_per_expert_;
};
TORCH_MODULE(SoftRouter);

/// What soft routing and its ablations cost.
RouterCost soft_router_cost(const MoeLayerOptions& options, SoftMixing mixing);

}  // namespace softmoe
