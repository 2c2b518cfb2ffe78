#pragma once
/// What routers that gather and scatter rows have in common.

#include "softmoe/moe_options.h"
#include "softmoe/router.h"
#include "softmoe/routers.h"

namespace softmoe {

/// A router whose experts see rows of tokens: decide() says which, the rest is common to all.
class SparseRouter : public Router {
 public:
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override = 0;
  Routed route(const torch::Tensor& tokens, const TokenContext& context,
               RoutingRecord* record) final;
  torch::Tensor combine(const Routed& routed, const torch::Tensor& expert_outputs) override;
};

/// Router logits [batch, tokens, experts] of `tokens` [batch, tokens, dim] by `weight`
/// [experts, dim], without bias; fp32 (fp64 for fp64) under any autocast.
torch::Tensor router_logits(const torch::Tensor& tokens, const torch::Tensor& weight);

/// `x` [batch, tokens, ...] as [groups, tokens of a group, ...] with `group_images` images to a
/// group, 0: the whole batch. A batch that does not divide becomes one group.
torch::Tensor as_groups(const torch::Tensor& x, int64_t group_images);

/// The decision that sends each token to its `expert` [batch, tokens] int64, outputs as they are;
/// fills `record` if it is not null.
Routed decide_by_expert(const torch::Tensor& expert, int64_t experts, RoutingRecord* record);

/// The cost of a linear router [dim, experts] that sends `choices` tokens to experts for each
/// token of the image.
RouterCost linear_router_cost(const MoeLayerOptions& options, double choices);

}  // namespace softmoe
