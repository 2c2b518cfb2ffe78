#include "softmoe/routers/soft_router.h"

#include "core/tensor_check.h"
#include "ops/fused_soft_mixing.h"
#include "ops/initialization.h"

namespace softmoe {

SoftRouterImpl::SoftRouterImpl(const MoeLayerOptions& options, SoftMixing mixing)
    : options_(options), mixing_(mixing), slots_per_expert_(slots_per_expert(options)) {
  SoftRouterImpl::reset();
}

void SoftRouterImpl::reset() {
  if (mixing_ == SoftMixing::kUniform || mixing_ == SoftMixing::kIdentity) {
    return;
  }
  const auto& [dim, experts] = std::pair(options_.dim, options_.moe.experts);
  phi = register_parameter("phi", torch::empty({dim, experts, slots_per_expert_}));
  scale = register_parameter("scale", torch::empty({}));
  init_normal(phi, 1.0 / std::sqrt(static_cast<double>(dim * experts)));
  init_constant(scale, 1.0);
}

torch::Tensor SoftRouterImpl::rounded(const torch::Tensor& x) const {
  return options_.moe.dispatch_dtype == Precision::kBFloat16 && x.scalar_type() == torch::kFloat32
             ? round_through(x, torch::kBFloat16)
             : x;
}

bool SoftRouterImpl::is_fused(const torch::Tensor& x) const {
  return mixing_ == SoftMixing::kSoft && options_.moe.dispatch_dtype == Precision::kFloat32 &&
         fused_soft_mixing_applies(x);
}

SoftRouting SoftRouterImpl::weights(const torch::Tensor& tokens, RoutingScores* scores) {
  const int64_t slots = options_.moe.experts * slots_per_expert_;
  SoftRouting uniform;
  if (mixing_ != SoftMixing::kSoft) {
    const std::vector<int64_t> shape{tokens.size(0), tokens.size(1), slots};
    const auto precision = tokens.options().dtype(
        tokens.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32);
    const auto token_share = 1.0 / static_cast<double>(tokens.size(1));
    const auto slot_share = 1.0 / static_cast<double>(slots);
    uniform.dispatch = torch::full({1}, token_share, precision).expand(shape);
    uniform.combine = torch::full({1}, slot_share, precision).expand(shape);
  }
  if (mixing_ == SoftMixing::kUniform) {
    return uniform;
  }
  auto logits = soft_logits(tokens, phi.flatten(1), scale, options_.moe.router_eps);
  if (scores != nullptr) {
    scores->logits = logits;
  }
  if (is_training() && options_.moe.router_noise > 0) {
    logits = logits + options_.moe.router_noise * torch::randn_like(logits);
  }  // [batch, tokens, slots]
  switch (mixing_) {
    case SoftMixing::kSoftUniform:
      return {.dispatch = logits.softmax(/*dim=*/1), .combine = uniform.combine};
    case SoftMixing::kUniformSoft:
      return {.dispatch = uniform.dispatch, .combine = logits.softmax(/*dim=*/2)};
    default:
      return soft_weights(logits);
  }
}

void SoftRouterImpl::fill_weights(RoutingRecord& record, const SoftRouting& routing) const {
  if (!record.wants.weights) {
    return;
  }
  const std::vector<int64_t> shape{routing.dispatch.size(0), routing.dispatch.size(1),
                                   options_.moe.experts, slots_per_expert_};
  record.dispatch = routing.dispatch.detach().reshape(shape);
  record.combine = routing.combine.detach().reshape(shape);
}

void SoftRouterImpl::fill_load(RoutingRecord& record, const torch::Tensor& combine) const {
  if (!record.wants.load) {
    return;
  }
  const int64_t experts = options_.moe.experts;
  // Every slot is full and no token is dropped: what tells experts apart is who is listened to.
  const auto share = combine.detach()
                         .reshape({-1, experts, slots_per_expert_})
                         .sum(-1);  // [batch * tokens, experts]
  record.load.load = torch::full({experts}, 1.0 / static_cast<double>(experts), share.options());
  record.load.importance = share.mean(0);  // [experts]
  record.load.dropped = torch::zeros({}, share.options());
  record.load.entropy = -(share * share.clamp_min(1e-30).log()).sum(-1).mean();  // []
}

Routed SoftRouterImpl::route(const torch::Tensor& tokens, const TokenContext& /*context*/,
                             RoutingRecord* record) {
  check_shape("SoftRouter: tokens", tokens, {-1, -1, options_.dim});
  const int64_t experts = options_.moe.experts;
  if (mixing_ == SoftMixing::kIdentity) {
    check_shape("SoftRouter: tokens of identity routing, one a slot", tokens,
                {-1, experts * slots_per_expert_, options_.dim});
    const auto inputs = tokens.view({tokens.size(0), experts, slots_per_expert_, options_.dim})
                            .transpose(0, 1)
                            .reshape({experts, -1, options_.dim});  // [experts, rows, dim]
    if (record != nullptr && record->wants.load) {
      const auto share = torch::full({experts}, 1.0 / static_cast<double>(experts),
                                     tokens.options().dtype(torch::kFloat32));
      record->load = {.load = share,
                      .importance = share,
                      .dropped = share.new_zeros({}),
                      .entropy = share.new_zeros({})};
    }
    Routed routed;
    routed.expert_inputs = inputs;
    return routed;
  }
  Routed routed;
  const bool noisy = is_training() && options_.moe.router_noise > 0;
  const bool wants_scores = record != nullptr && record->wants.scores;
  if (!noisy && is_fused(tokens)) {
    const auto keys = soft_keys(phi.flatten(1), scale, options_.moe.router_eps);  // [dim, slots]
    const auto fused = fused_soft_dispatch(tokens, keys, experts, options_.moe.router_eps);
    routed.expert_inputs = fused.expert_inputs;
    routed.combine_logits = fused.logits;
    if (record != nullptr) {
      // From the same logits, so that asking for them changes no bit of the output.
      const auto logits = logits_from_panels(fused.logits, keys.size(1));  // [batch, tokens, slots]
      if (wants_scores) {
        record->scores.logits = logits;
      }
      if (record->wants.weights || record->wants.load) {
        const auto routing = soft_weights(logits.detach());
        fill_weights(*record, routing);
        fill_load(*record, routing.combine);
      }
    }
    return routed;
  }
  const auto routing = weights(tokens, wants_scores ? &record->scores : nullptr);
  if (record != nullptr) {
    fill_weights(*record, routing);
    fill_load(*record, routing.combine);
  }
  routed.expert_inputs = soft_dispatch(rounded(tokens), routing.dispatch, experts);
  routed.combine_weights = routing.combine;
  return routed;
}

torch::Tensor SoftRouterImpl::combine(const Routed& routed, const torch::Tensor& expert_outputs) {
  const int64_t experts = options_.moe.experts;
  check_shape("SoftRouter: expert outputs", expert_outputs, {experts, -1, -1});
  if (mixing_ == SoftMixing::kIdentity) {
    const int64_t slots = experts * slots_per_expert_;
    return expert_outputs.view({experts, -1, slots_per_expert_, expert_outputs.size(2)})
        .transpose(0, 1)
        .reshape({-1, slots, expert_outputs.size(2)});  // [batch, tokens, dim]
  }
  if (routed.combine_logits.defined()) {
    return fused_soft_combine(expert_outputs, routed.combine_logits);  // [batch, tokens, dim]
  }
  return soft_combine(rounded(expert_outputs), routed.combine_weights);
}

RouterCost soft_router_cost(const MoeLayerOptions& options, SoftMixing mixing) {
  const int64_t slots = options.moe.experts * slots_per_expert(options);
  const double product = static_cast<double>(options.tokens) * static_cast<double>(slots) *
                         static_cast<double>(options.dim);
  RouterCost cost{.parameters = 0, .multiply_adds = 0.0, .expert_rows = static_cast<double>(slots)};
  if (mixing == SoftMixing::kIdentity) {
    return cost;
  }
  cost.multiply_adds = 2.0 * product;  // dispatch and combine
  if (mixing != SoftMixing::kUniform) {
    cost.parameters = options.dim * slots + 1;
    cost.multiply_adds += product;  // logits
  }
  return cost;
}

}  // namespace softmoe
