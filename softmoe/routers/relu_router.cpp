#include "softmoe/routers/relu_router.h"

#include "ops/initialization.h"

namespace softmoe {
namespace {

/// The experts per token that are aimed at: no more than there are.
int64_t target_experts(const MoeLayerOptions& options) {
  return std::min(options.moe.sparse.top_k, options.moe.experts);
}

/// Rows of all positive gates; `gates` [batch, tokens, experts].
SparseRows rows_of_gates(const torch::Tensor& gates) {
  const int64_t experts = gates.size(2);
  const auto pairs = (gates.detach() > 0).flatten(0, 1).t().nonzero();          // [pairs, 2]
  const auto expert = pairs.select(1, 0);                                       // [pairs]
  const auto token = pairs.select(1, 1);                                        // [pairs]
  const auto gate = gates.flatten().index_select(0, token * experts + expert);  // [pairs]
  return rows_from_pairs(token, expert, gate, experts, gates.size(0), gates.size(1));
}

}  // namespace

torch::Tensor balanced_l1(const torch::Tensor& gates, int64_t top_k) {
  const auto share = (gates.detach() > 0).to(gates.dtype()).mean(0);  // [experts]
  const double scale = static_cast<double>(gates.size(1)) / static_cast<double>(top_k);
  return (share * gates.mean(0)).sum() * scale;  // []
}

torch::Tensor adapted_l1_coefficient(const torch::Tensor& coefficient, const torch::Tensor& gates,
                                     int64_t top_k, double multiplier, double minimum) {
  const torch::NoGradGuard no_grad;
  // An integer target, so that a sparsity that meets it exactly leaves the coefficient alone.
  const auto excess = (gates > 0).sum() - gates.size(0) * top_k;                  // []
  const auto change = torch::pow(multiplier, excess.sign().to(torch::kFloat64));  // []
  return (coefficient.to(torch::kFloat64) * change).clamp(minimum, 1e30).to(coefficient.dtype());
}

ReluRouterImpl::ReluRouterImpl(const MoeLayerOptions& options) : options_(options) {
  ReluRouterImpl::reset();
}

void ReluRouterImpl::reset() {
  weight = register_parameter("weight", torch::empty({options_.moe.experts, options_.dim}));
  // Half of the gates are positive, and their squares sum to about 1 for a token of unit variance:
  // the layer's output starts on the scale of one expert's, however many there are.
  init_normal(weight, std::sqrt(2.0 / static_cast<double>(options_.dim * options_.moe.experts)));
  l1_coefficient =
      register_buffer("l1_coefficient", torch::full({}, options_.moe.sparse.l1_initial));
}

Routed ReluRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                              RoutingRecord* record) {
  const auto gates = router_logits(tokens, weight).relu();  // [batch, tokens, experts]
  const auto flat = gates.flatten(0, 1);                    // [batch * tokens, experts]
  const int64_t top_k = target_experts(options_);
  Routed routed;
  routed.rows = rows_of_gates(gates);
  if (record != nullptr) {
    const auto total = flat.detach().sum(-1, /*keepdim=*/true).clamp_min(1e-30);
    record_rows(*record, routed.rows, flat.detach() / total);
    if (record->wants.scores) {
      record->scores.top_k = top_k;
      record->scores.activation_l1 =
          balanced_l1(flat, top_k) * l1_coefficient.to(gates.dtype(), false, /*copy=*/true);
    }
  }
  if (is_training()) {
    const torch::NoGradGuard no_grad;
    l1_coefficient.copy_(adapted_l1_coefficient(l1_coefficient, flat, top_k,
                                                options_.moe.sparse.l1_multiplier,
                                                options_.moe.sparse.l1_initial));
  }
  return routed;
}

RouterCost relu_router_cost(const MoeLayerOptions& options) {
  return linear_router_cost(options, static_cast<double>(target_experts(options)));
}

}  // namespace softmoe
