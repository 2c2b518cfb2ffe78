#include "softmoe/routers/reinforced_router.h"

#include "ops/initialization.h"

namespace softmoe {

torch::Tensor choose_experts(const torch::Tensor& logits, bool draw) {
  const auto scores = logits.detach();  // [batch, tokens, experts]
  if (!draw) {
    return scores.argmax(-1);  // [batch, tokens]
  }
  return scores.softmax(-1)
      .flatten(0, 1)
      .multinomial(/*num_samples=*/1)
      .view({logits.size(0), logits.size(1)});  // [batch, tokens]
}

torch::Tensor policy_gradient_loss(const torch::Tensor& logits, const torch::Tensor& actions,
                                   const torch::Tensor& advantage) {
  const auto taken = logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1);  // [...]
  return -(advantage.detach() * taken).mean();                                              // []
}

torch::Tensor normalized_advantage(const torch::Tensor& reward, const torch::Tensor& baseline) {
  const auto advantage = (reward - baseline).detach();  // [batch, tokens]
  if (advantage.size(0) == 1) {
    return advantage;
  }
  const auto deviation = advantage.std(/*unbiased=*/false).clamp_min(1e-6);  // []
  return (advantage - advantage.mean()) / deviation;                         // [batch, tokens]
}

ReinforcedRouterImpl::ReinforcedRouterImpl(const MoeLayerOptions& options) : options_(options) {
  ReinforcedRouterImpl::reset();
}

void ReinforcedRouterImpl::reset() {
  weight = register_parameter("weight", torch::empty({options_.moe.experts, options_.dim}));
  baseline_weight = register_parameter("baseline_weight", torch::empty({1, options_.dim}));
  baseline_bias = register_parameter("baseline_bias", torch::empty({1}));
  // Nearly uniform, so that every expert is tried before any is preferred.
  init_normal(weight, 0.02);
  init_constant(baseline_weight, 0.0);
  init_constant(baseline_bias, 0.0);
}

Routed ReinforcedRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                    RoutingRecord* record) {
  const auto logits = router_logits(tokens, weight);           // [batch, tokens, experts]
  const auto actions = choose_experts(logits, is_training());  // [batch, tokens]
  Routed routed;
  routed.rows = rows_of_experts(actions, /*gate=*/{}, options_.moe.experts);
  if (record != nullptr) {
    record_rows(*record, routed.rows, logits.detach().softmax(-1).flatten(0, 1));
    if (record->wants.scores) {
      const auto expected = router_logits(tokens.detach(), baseline_weight);  // [batch, tokens, 1]
      record->scores.logits = logits;
      record->scores.actions = actions;
      record->scores.baseline = (expected + baseline_bias).squeeze(-1);  // [batch, tokens]
    }
  }
  return routed;
}

RouterCost reinforced_router_cost(const MoeLayerOptions& options) {
  auto cost = linear_router_cost(options, /*choices=*/1.0);
  cost.parameters += options.dim + 1;
  cost.multiply_adds += static_cast<double>(options.tokens * options.dim);
  return cost;
}

}  // namespace softmoe
