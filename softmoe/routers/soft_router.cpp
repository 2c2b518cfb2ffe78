#include "softmoe/routers/soft_router.h"

#include "core/tensor_check.h"
#include "ops/initialization.h"
#include "softmoe/mixing_state.h"

namespace softmoe {
namespace {

/// The use of experts by the combine weights `combine` [batch, tokens, experts, slots_per_expert].
/// Every slot is full and no token is dropped: experts differ in the weights of their outputs.
ExpertLoad load_of(const torch::Tensor& combine) {
  const int64_t experts = combine.size(2);
  const auto share = combine.flatten(0, 1).sum(-1);  // [batch * tokens, experts]
  return {.load = torch::full({experts}, 1.0 / static_cast<double>(experts), share.options()),
          .importance = share.mean(0),  // [experts]
          .dropped = torch::zeros({}, share.options()),
          .entropy = -(share * share.clamp_min(1e-30).log()).sum(-1).mean()};
}

}  // namespace

SoftRouterImpl::SoftRouterImpl(const MoeLayerOptions& options, SoftMixing mixing)
    : options_(options), mixing_(mixing), slots_per_expert_(slots_per_expert(options)) {
  SoftRouterImpl::reset();
}

void SoftRouterImpl::reset() {
  if (mixing_ == SoftMixing::kUniform) {
    return;
  }
  const auto& [dim, experts] = std::pair(options_.dim, options_.moe.experts);
  phi = register_parameter("phi", torch::empty({dim, experts, slots_per_expert_}));
  scale = register_parameter("scale", torch::empty({}));
  const double deviation = 1.0 / std::sqrt(static_cast<double>(dim * experts));
  if (options_.moe.phi_init == PhiInit::kOrthogonal) {
    auto slots = phi.detach().view({dim, -1});  // [dim, slots], the memory of phi
    init_orthogonal(slots, deviation * std::sqrt(static_cast<double>(dim)));
  } else {
    init_normal(phi, deviation);
  }
  init_constant(scale, initial_router_scale(options_.moe, dim));
}

SoftMixingOptions SoftRouterImpl::mixing_options() const {
  return {.mixing = mixing_,
          .experts = options_.moe.experts,
          .slots_per_expert = slots_per_expert_,
          .eps = options_.moe.router_eps,
          .noise = is_training() ? options_.moe.router_noise : 0.0,
          .rounds_to_bf16 = options_.moe.dispatch_dtype == Precision::kBFloat16};
}

void SoftRouterImpl::fill(RoutingRecord& record, const SoftMix& mix) const {
  if (record.wants.scores) {
    record.scores.logits = mix.logits();  // [batch, tokens, slots]
  }
  if (!record.wants.weights && !record.wants.load) {
    return;
  }
  const torch::NoGradGuard no_grad;
  const auto by_expert = [&](const torch::Tensor& weights) {
    return weights.detach().reshape(
        {weights.size(0), weights.size(1), options_.moe.experts, slots_per_expert_});
  };
  const auto weights = mix.weights();
  const auto combine = by_expert(weights.combine);
  if (record.wants.weights) {
    record.dispatch = by_expert(weights.dispatch);
    record.combine = combine;
  }
  if (record.wants.load) {
    record.load = load_of(combine);
    record.load.mixing = {.scale = scale.defined() ? scale.detach() : scale,
                          .dispatch_entropy = relative_entropy(weights.dispatch, /*dim=*/1),
                          .combine_entropy = relative_entropy(weights.combine, /*dim=*/2),
                          .input_similarity = {},
                          .output_similarity = {}};
  }
}

Routed SoftRouterImpl::route(const torch::Tensor& tokens, const TokenContext& /*context*/,
                             RoutingRecord* record) {
  check_shape("SoftRouter: tokens", tokens, {-1, -1, options_.dim});
  const auto slots = phi.defined() ? phi.flatten(1) : phi;  // [dim, slots]
  auto [expert_inputs, mix] = soft_dispatch(tokens, {slots, scale}, mixing_options());
  if (record != nullptr) {
    fill(*record, mix);
  }
  Routed routed;
  routed.expert_inputs = expert_inputs;
  routed.mix = mix;
  return routed;
}

torch::Tensor SoftRouterImpl::combine(const Routed& routed, const torch::Tensor& expert_outputs) {
  check_shape("SoftRouter: expert outputs", expert_outputs, {options_.moe.experts, -1, -1});
  return soft_combine(expert_outputs, routed.mix);  // [batch, tokens, dim]
}

RouterCost soft_router_cost(const MoeLayerOptions& options, SoftMixing mixing) {
  const int64_t slots = options.moe.experts * slots_per_expert(options);
  const double product = static_cast<double>(options.tokens) * static_cast<double>(slots) *
                         static_cast<double>(options.dim);
  RouterCost cost{.parameters = 0,
                  .multiply_adds = 2.0 * product,  // dispatch and combine
                  .expert_rows = static_cast<double>(slots)};
  if (mixing != SoftMixing::kUniform) {
    cost.parameters = options.dim * slots + 1;
    cost.multiply_adds += product;  // logits
  }
  return cost;
}

}  // namespace softmoe
