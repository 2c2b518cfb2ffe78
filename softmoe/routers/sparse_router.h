#pragma once
/// What routers that gather and scatter rows have in common.

#include "softmoe/moe_options.h"
#include "softmoe/router.h"
#include "softmoe/routers.h"

namespace softmoe {

/// A router whose experts see rows of tokens; combine() is that of all of them.
class SparseRouter : public Router {
 public:
  torch::Tensor combine(const Routed& routed, const torch::Tensor& expert_outputs) override;
};

/// Router logits [batch, tokens, experts] of `tokens` [batch, tokens, dim] by `weight`
/// [experts, dim], without bias; fp32 (fp64 for fp64) under any autocast.
torch::Tensor router_logits(const torch::Tensor& tokens, const torch::Tensor& weight);

/// `x` [batch, tokens, ...] as [groups, tokens of a group, ...] with `group_images` images to a
/// group, 0: the whole batch. A batch that does not divide becomes one group.
torch::Tensor as_groups(const torch::Tensor& x, int64_t group_images);

/// Routes `tokens` [batch, tokens, dim] to the rows_of_experts() of `expert` [batch, tokens] int64,
/// outputs as they are; fills `record` if it is not null.
Routed route_by_expert(const torch::Tensor& tokens, const torch::Tensor& expert, int64_t experts,
                       RoutingRecord* record);

/// The cost of a linear router [dim, experts] that sends `choices` tokens to experts for each
/// token of the image.
RouterCost linear_router_cost(const MoeLayerOptions& options, double choices);

}  // namespace softmoe
