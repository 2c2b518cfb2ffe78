#include "softmoe/routers/soft_router.h"

#include <ATen/ops/where.h>

#include "core/tensor_check.h"
#include "ops/initialization.h"
#include "softmoe/assignment/kmeans.h"
#include "softmoe/mixing_state.h"
#include "softmoe/router_scale.h"

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

/// Tokens of the sample for each slot that k-means looks at.
constexpr int64_t kSamplesPerSlot = 64;
/// Units of directions for k-means, which works on integers.
constexpr double kFixedPoint = 32768.0;

/// At most `max` rows of `rows` [count, dim], evenly spread.
torch::Tensor spread_rows(const torch::Tensor& rows, int64_t max) {
  const int64_t count = std::min(max, rows.size(0));
  const auto index = (torch::arange(count) * rows.size(0)).div(count, "floor");  // [count]
  return rows.index_select(0, index);
}

torch::Tensor unit_rows(const torch::Tensor& rows) {
  return rows / rows.norm(2, /*dim=*/-1, /*keepdim=*/true);
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
  if (options_.moe.phi_init == PhiInit::kOrthogonal) {
    auto slots = phi.detach().view({dim, -1});  // [dim, slots], the memory of phi
    init_orthogonal(slots, phi_deviation() * std::sqrt(static_cast<double>(dim)));
  } else if (options_.moe.phi_init == PhiInit::kKMeans) {
    init_constant(phi, 0.0);
  } else {
    init_normal(phi, phi_deviation());
  }
  init_constant(scale, initial_scale_parameter(options_.moe, dim));
  if (options_.moe.separate_scales && mixing_ == SoftMixing::kSoft) {
    combine_scale = register_parameter("combine_scale", torch::empty({}));
    init_constant(combine_scale, initial_scale_parameter(options_.moe, dim));
  }
}

double SoftRouterImpl::phi_deviation() const {
  return 1.0 / std::sqrt(static_cast<double>(options_.dim * options_.moe.experts));
}

RouterSample SoftRouterImpl::wanted_sample() const {
  const bool waits = options_.moe.phi_init == PhiInit::kKMeans && phi.defined() &&
                     !phi.detach().any().item<bool>();
  return waits ? RouterSample::kTokens : RouterSample::kNone;
}

void SoftRouterImpl::fit(const torch::Tensor& sample, const Router* /*twin*/) {
  if (wanted_sample() != RouterSample::kTokens) {
    return;
  }
  check_shape("SoftRouter: sample", sample, {-1, options_.dim});
  const torch::NoGradGuard no_grad;
  const auto directions =
      l2_normalize(sample.detach().to(torch::kCPU, torch::kFloat64), -1, options_.moe.router_eps);
  const auto kept = spread_rows(directions, kSamplesPerSlot * phi[0].numel());  // [count, dim]
  const auto clusters = kmeans((kept * kFixedPoint).round(), {.clusters = phi[0].numel()});
  const auto apart = clusters.centers / kFixedPoint - kept.mean(0);           // [slots, dim]
  const auto lengths = apart.norm(2, /*dim=*/-1, /*keepdim=*/true);           // [slots, 1]
  const auto sizes = clusters.labels.bincount({}, phi[0].numel());            // [slots]
  const auto found = sizes.gt(0).unsqueeze(1).logical_and(lengths.gt(1e-9));  // [slots, 1]
  const auto units = at::where(found, apart / lengths.clamp_min(1e-9),
                               unit_rows(torch::randn_like(apart)));  // [slots, dim]
  const double length = phi_deviation() * std::sqrt(static_cast<double>(options_.dim));
  phi.copy_((units * length).t().reshape(phi.sizes()));
}

SoftMixingOptions SoftRouterImpl::mixing_options() const {
  return {.mixing = mixing_,
          .combine = options_.moe.combine,
          .experts = options_.moe.experts,
          .slots_per_expert = slots_per_expert_,
          .eps = options_.moe.router_eps,
          .noise = is_training() ? options_.moe.router_noise : 0.0,
          .rounds_to_bf16 = options_.moe.dispatch_dtype == Precision::kBFloat16};
}

void SoftRouterImpl::fill(RoutingRecord& record, const SlotParameters& parameters,
                          const SoftMix& mix) const {
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
    const auto detached = [](const torch::Tensor& x) { return x.defined() ? x.detach() : x; };
    record.load.mixing = {.scale = detached(parameters.scale),
                          .combine_scale = detached(parameters.combine_scale),
                          .dispatch_entropy = relative_entropy(weights.dispatch, /*dim=*/1),
                          .combine_entropy = relative_entropy(weights.combine, /*dim=*/2),
                          .input_similarity = {},
                          .output_similarity = {}};
  }
}

Routed SoftRouterImpl::route(const torch::Tensor& tokens, const TokenContext& /*context*/,
                             RoutingRecord* record) {
  check_shape("SoftRouter: tokens", tokens, {-1, -1, options_.dim});
  const auto scale_of = [&](const torch::Tensor& parameter) {
    return parameter.defined() ? router_scale(parameter, options_.moe) : parameter;
  };
  const SlotParameters parameters{.phi = phi.defined() ? phi.flatten(1) : phi,  // [dim, slots]
                                  .scale = scale_of(scale),
                                  .combine_scale = scale_of(combine_scale)};
  auto [expert_inputs, mix] = soft_dispatch(tokens, parameters, mixing_options());
  if (record != nullptr) {
    fill(*record, parameters, mix);
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
    const bool has_two = mixing == SoftMixing::kSoft && options.moe.separate_scales;
    cost.parameters = options.dim * slots + (has_two ? 2 : 1);
    cost.multiply_adds += product;  // logits
  }
  return cost;
}

}  // namespace softmoe
