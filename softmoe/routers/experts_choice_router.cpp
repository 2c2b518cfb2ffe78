#include "softmoe/routers/experts_choice_router.h"

#include "core/tensor_check.h"
#include "ops/batch_rows.h"
#include "ops/initialization.h"
#include "softmoe/capacity.h"

namespace softmoe {
namespace {

/// Images of a group: one unless asked otherwise, so that images do not depend on their batch.
int64_t group_images(const MoeLayerOptions& options) {
  return std::max<int64_t>(1, options.moe.sparse.group_images);
}

/// Rows of an expert for a group of `tokens` tokens.
int64_t capacity_of_group(const MoeLayerOptions& options, int64_t tokens, bool training) {
  const auto& moe = options.moe;
  const auto rows = expert_capacity(tokens, moe.experts, capacity_factor(moe, training),
                                    capacity_rounding(moe.sparse, CapacityRounding::kNearest),
                                    moe.sparse.capacity_multiple);
  return std::min(rows, tokens);
}

}  // namespace

TopGates renormalize(const TopGates& chosen, int64_t tokens) {
  const auto token = chosen.index.flatten(1);  // [groups, rows]
  const auto gate = chosen.gate.flatten(1);    // [groups, rows]
  const auto sum = torch::zeros({token.size(0), tokens}, gate.options())
                       .scatter_add(1, token, gate);                // [groups, tokens]
  const auto share = gate / sum.gather(1, token).clamp_min(1e-20);  // [groups, rows]
  return {.index = chosen.index, .gate = share.view(chosen.gate.sizes())};
}

ExpertsChoiceRouterImpl::ExpertsChoiceRouterImpl(const MoeLayerOptions& options)
    : options_(options) {
  ExpertsChoiceRouterImpl::reset();
}

void ExpertsChoiceRouterImpl::reset() {
  weight = register_parameter("weight", torch::empty({options_.moe.experts, options_.dim}));
  init_lecun_normal(weight, options_.dim);
}

Routed ExpertsChoiceRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                       RoutingRecord* record) {
  check_shape("ExpertsChoiceRouter: tokens", tokens, {-1, -1, options_.dim});
  TORCH_CHECK_VALUE(tokens.numel() > 0, "ExpertsChoiceRouter: no tokens in ", tokens.sizes());
  const auto& moe = options_.moe;
  const auto logits = as_groups(router_logits(tokens, weight), group_images(options_));
  auto noisy = logits;  // [groups, tokens, experts]
  if (is_training() && moe.router_noise > 0) {
    const double deviation = moe.router_noise / static_cast<double>(moe.experts);
    noisy = logits + deviation * randn_rows(logits);  // [groups, tokens, experts]
  }
  const int64_t group_tokens = logits.size(1);
  auto chosen =
      top_gates_of_experts(noisy, capacity_of_group(options_, group_tokens, is_training()));
  if (moe.sparse.renormalize_gates) {
    chosen = renormalize(chosen, group_tokens);
  }
  Routed routed;
  routed.rows = rows_of_chosen_tokens(chosen, group_tokens, tokens.size(0));
  if (record != nullptr) {
    const auto gates = record->wants.load ? noisy.detach().softmax(-1).flatten(0, 1)
                                          : torch::Tensor();  // [batch * tokens, experts]
    record_rows(*record, routed.rows, gates);
    if (record->wants.scores) {
      // The chance to be among a token's top K means nothing here: no noise is reported.
      record->scores.logits = logits;
    }
  }
  return routed;
}

RouterCost experts_choice_cost(const MoeLayerOptions& options) {
  const int64_t group_tokens = std::max<int64_t>(1, options.tokens) * group_images(options);
  const auto capacity = std::max(capacity_of_group(options, group_tokens, /*training=*/true),
                                 capacity_of_group(options, group_tokens, /*training=*/false));
  const auto rows = static_cast<double>(options.moe.experts) * static_cast<double>(capacity);
  return linear_router_cost(options, rows / static_cast<double>(group_tokens));
}

}  // namespace softmoe
