#include "softmoe/routers/sinkhorn_router.h"

#include <algorithm>

#include "ops/initialization.h"
#include "softmoe/assignment/sinkhorn.h"
#include "softmoe/assignment/top_indices.h"

namespace softmoe {
namespace {

/// Rows of the experts [groups, tokens, choices] of each token, without a limit, with their gates
/// from `gates` [groups, tokens, experts].
SparseRows rows_of_choices(const torch::Tensor& choices, const torch::Tensor& gates,
                           int64_t batch) {
  const auto [expert, pair] = choices.flatten().sort(
      /*stable=*/true, /*dim=*/0, /*descending=*/false);                       // [pairs]
  const auto gate = gates.gather(2, choices).flatten().index_select(0, pair);  // [pairs]
  return rows_from_pairs(pair.div(choices.size(2), "floor"), expert, gate, gates.size(2), batch,
                         gates.size(0) * gates.size(1) / batch);
}

}  // namespace

SinkhornRouterImpl::SinkhornRouterImpl(const MoeLayerOptions& options) : options_(options) {
  SinkhornRouterImpl::reset();
}

void SinkhornRouterImpl::reset() {
  weight = register_parameter("weight", torch::empty({options_.moe.experts, options_.dim}));
  init_lecun_normal(weight, options_.dim);
}

int64_t SinkhornRouterImpl::choices() const {
  return std::min(options_.moe.sparse.top_k, options_.moe.experts);
}

torch::Tensor SinkhornRouterImpl::plan(const torch::Tensor& logits) const {
  const auto& sparse = options_.moe.sparse;
  return sinkhorn_plan(logits, {.temperature = sparse.sinkhorn_temperature,
                                .tolerance = sparse.sinkhorn_tolerance,
                                .iterations = sparse.sinkhorn_iterations})
      .plan;  // [groups, tokens of a group, experts]
}

Routed SinkhornRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                  RoutingRecord* record) {
  const auto& sparse = options_.moe.sparse;
  const int64_t batch = tokens.size(0);
  const auto logits =
      as_groups(router_logits(tokens, weight), sparse.group_images);   // [groups, tokens, experts]
  const auto gates = transport_gates(logits, choices());               // [groups, tokens, experts]
  const auto scores = is_training() ? plan(logits) : logits.detach();  // [groups, tokens, experts]
  Routed routed;
  if (is_training() && sparse.plan_selection == PlanSelection::kExact) {
    const int64_t load = equal_load(logits.size(1), choices(), options_.moe.experts);
    const auto best = top_indices(scores.transpose(1, 2), load);  // [groups, experts, load]
    routed.rows = rows_of_chosen_tokens(
        {.index = best, .gate = gates.transpose(1, 2).gather(2, best)}, logits.size(1), batch);
  } else {
    routed.rows = rows_of_choices(top_indices(scores, choices()), gates, batch);
  }
  if (record != nullptr) {
    if (record->wants.scores) {
      record->scores.logits = logits;
      record->scores.top_k = choices();
    }
    record_rows(*record, routed.rows, logits.detach().flatten(0, 1).softmax(-1));
  }
  return routed;
}

RouterCost sinkhorn_router_cost(const MoeLayerOptions& options) {
  const int64_t choices = std::min(options.moe.sparse.top_k, options.moe.experts);
  return linear_router_cost(options, static_cast<double>(choices));
}

}  // namespace softmoe
