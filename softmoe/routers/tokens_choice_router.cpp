#include "softmoe/routers/tokens_choice_router.h"

#include "core/error.h"
#include "core/tensor_check.h"
#include "ops/batch_rows.h"
#include "ops/initialization.h"
#include "softmoe/capacity.h"

namespace softmoe {
namespace {

/// Rows that pad matrices to sizes that hardware likes, as in the reference.
constexpr int64_t kUsualMultiple = 4;

}  // namespace

TokensChoiceRouterImpl::TokensChoiceRouterImpl(const MoeLayerOptions& options) : options_(options) {
  const auto& moe = options_.moe;
  TORCH_CHECK_VALUE(moe.sparse.top_k >= 1 && moe.sparse.top_k <= moe.experts,
                    "TokensChoiceRouter: top_k must be between 1 and the ", moe.experts,
                    " experts, found ", moe.sparse.top_k);
  if (moe.sparse.top_k == 1 && moe.experts > 1) {
    const std::string found = "1, where the router would get no gradient";
    if (moe.sparse.renormalize_gates) {
      throw UsageError("top-k", "at least 2 with renormalize-gates", found);
    }
    if (moe.sparse.gate_order == GateOrder::kAfter &&
        moe.sparse.gate_function == GateFunction::kSoftmax) {
      throw UsageError("top-k", "at least 2 with gate-order after", found);
    }
  }
  TokensChoiceRouterImpl::reset();
}

void TokensChoiceRouterImpl::reset() {
  const int64_t experts = options_.moe.experts;
  weight = register_parameter("weight", torch::empty({experts, options_.dim}));
  init_lecun_normal(weight, options_.dim);
  if (options_.moe.sparse.selection_bias_rate > 0) {
    selection_bias = register_buffer("selection_bias", torch::zeros({experts}));
  }
}

torch::Tensor TokensChoiceRouterImpl::jittered(const torch::Tensor& tokens) const {
  const double jitter = options_.moe.sparse.jitter;
  if (!is_training() || jitter <= 0) {
    return tokens;
  }
  // In bf16 the factors would be no more than a few steps around 1.
  const auto options = tokens.options().requires_grad(false).dtype(
      tokens.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32);
  return tokens * draw_rows(tokens.sizes(), [&](torch::IntArrayRef sizes) {
           return torch::empty(sizes, options).uniform_(1 - jitter, 1 + jitter);
         });  // [batch, tokens, dim]
}

RoutingScores TokensChoiceRouterImpl::score(const torch::Tensor& tokens) const {
  const auto& moe = options_.moe;
  RoutingScores scores;
  scores.top_k = moe.sparse.top_k;
  scores.logits = as_groups(router_logits(jittered(tokens), weight),
                            moe.sparse.group_images);  // [groups, tokens, experts]
  if (is_training() && moe.router_noise > 0) {
    scores.noise_std = moe.router_noise / static_cast<double>(moe.experts);
    scores.noisy_logits = scores.logits + scores.noise_std * randn_rows(scores.logits);
  }  // [groups, tokens, experts]
  return scores;
}

ChosenExperts TokensChoiceRouterImpl::choose(const torch::Tensor& logits) {
  const auto& sparse = options_.moe.sparse;
  auto chosen = choose_experts(logits, selection_bias, sparse);
  if (is_training() && sparse.second_expert_threshold > 0) {
    chosen.expert = sample_later_choices(chosen, sparse.second_expert_threshold);
  }
  // The bias of a frozen router stays, too.
  if (is_training() && selection_bias.defined() && weight.requires_grad()) {
    const torch::NoGradGuard no_grad;
    const auto step = balancing_step(count_choices(chosen.expert, options_.moe.experts));
    selection_bias.add_(step.to(selection_bias.dtype()), sparse.selection_bias_rate);
  }
  return chosen;
}

int64_t TokensChoiceRouterImpl::capacity(int64_t tokens) const {
  const auto& sparse = options_.moe.sparse;
  const int64_t multiple =
      sparse.capacity_multiple == 0 ? kUsualMultiple : sparse.capacity_multiple;
  return expert_capacity(tokens * sparse.top_k, options_.moe.experts,
                         capacity_factor(options_.moe, is_training()),
                         capacity_rounding(options_.moe.sparse, CapacityRounding::kUp), multiple);
}

Routed TokensChoiceRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                      RoutingRecord* record) {
  check_shape("TokensChoiceRouter: tokens", tokens, {-1, -1, options_.dim});
  TORCH_CHECK_VALUE(tokens.numel() > 0, "TokensChoiceRouter: no tokens in ", tokens.sizes());
  const auto scores = score(tokens);
  const auto& logits = scores.noisy_logits.defined() ? scores.noisy_logits : scores.logits;
  const auto chosen = choose(logits);
  const auto places = place_choices(
      chosen.expert, options_.moe.sparse.batch_priority ? chosen.priority : torch::Tensor(),
      options_.moe.experts, capacity(logits.size(1)));
  Routed routed;
  routed.rows = rows_from_places(places.place, chosen.gate.flatten(0, 1), options_.moe.experts,
                                 places.rows, tokens.size(0));
  if (record != nullptr) {
    const auto probabilities = record->wants.load ? scores.logits.detach().softmax(-1).flatten(0, 1)
                                                  : torch::Tensor();  // [batch * tokens, experts]
    record_rows(*record, routed.rows, probabilities);
    if (record->wants.scores) {
      record->scores = scores;
    }
  }
  return routed;
}

RouterCost tokens_choice_cost(const MoeLayerOptions& options) {
  const auto& moe = options.moe;
  const double factor = std::max(capacity_factor(moe, true), capacity_factor(moe, false));
  return linear_router_cost(options, static_cast<double>(moe.sparse.top_k) * std::min(1.0, factor));
}

}  // namespace softmoe
