#include "ops/soft_mixing.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/where.h>

#include "ops/batch_rows.h"
#include "ops/entmax.h"
#include "ops/fused/applies.h"
#include "ops/fused/soft_mixing.h"

namespace softmoe {
namespace {

/// The precision of expert inputs if the fused operators take the call.
std::optional<Precision> fused_precision(const torch::Tensor& tokens,
                                         const SlotParameters& parameters,
                                         const SoftMixingOptions& options) {
  const bool is_plain = options.mixing == SoftMixing::kSoft &&
                        options.combine == CombineWeights::kSoftmax && !options.rounds_to_bf16 &&
                        options.noise <= 0;
  const auto precision =
      is_plain && fused::takes_soft_mixing(tokens) ? fused::precision_of(tokens) : std::nullopt;
  // The logits of combine are made of those of dispatch.
  const bool has_ratio =
      !precision || !parameters.combine_scale.defined() || parameters.scale.item<double>() != 0.0;
  return has_ratio ? precision : std::nullopt;
}

/// Weights of 1 / `count` for tokens [batch, tokens, dim], [batch, tokens, slots].
torch::Tensor uniform_weights(const torch::Tensor& tokens, int64_t slots, int64_t count) {
  const auto dtype = tokens.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return torch::full({1}, 1.0 / static_cast<double>(count), tokens.options().dtype(dtype))
      .expand({tokens.size(0), tokens.size(1), slots});
}

/// What `options` makes of fp32 values before they are mixed.
torch::Tensor rounded(const torch::Tensor& x, const SoftMixingOptions& options) {
  return options.rounds_to_bf16 && x.scalar_type() == torch::kFloat32
             ? round_through(x, torch::kBFloat16)
             : x;
}

/// Logits of both steps, [batch, tokens, slots]; one tensor if they are equal.
struct StepLogits {
  torch::Tensor dispatch{};
  torch::Tensor combine{};
};

StepLogits step_logits(const torch::Tensor& tokens, const SlotParameters& parameters,
                       const SoftMixingOptions& options) {
  if (options.mixing == SoftMixing::kUniform) {
    return {};
  }
  const auto& [phi, scale, combine_scale] = parameters;
  if (!combine_scale.defined()) {
    const auto logits = soft_logits(tokens, phi, scale, options.eps);
    return {.dispatch = logits, .combine = logits};
  }
  const auto cosines = soft_logits(tokens, phi, at::ones({}, scale.options()), options.eps);
  return {.dispatch = cosines * scale.to(cosines.dtype()),
          .combine = cosines * combine_scale.to(cosines.dtype())};
}

/// The weights of both steps from logits with noise.
SoftRouting mixing_weights(const torch::Tensor& tokens, const StepLogits& logits,
                           const SoftMixingOptions& options) {
  const int64_t slots = options.slots();
  const auto combine = [&] {
    return options.combine == CombineWeights::kEntmax15 ? entmax15(logits.combine)
                                                        : logits.combine.softmax(/*dim=*/2);
  };
  return {.dispatch = learns_dispatch(options.mixing)
                          ? logits.dispatch.softmax(/*dim=*/1)
                          : uniform_weights(tokens, slots, tokens.size(1)),
          .combine =
              learns_combine(options.mixing) ? combine() : uniform_weights(tokens, slots, slots)};
}

/// `panels` of logits that have `scale` as they are with `combine_scale`. What slots do not fill
/// has unspecified gradients, which must not reach the scales.
torch::Tensor combine_panels(const torch::Tensor& panels, const SlotParameters& parameters,
                             int64_t slots) {
  if (!parameters.combine_scale.defined()) {
    return panels;
  }
  const auto ratio = (parameters.combine_scale / parameters.scale).to(torch::kFloat32);  // []
  const auto is_slot = at::arange(panels.size(1) * fused::kPanelSlots, panels.device())
                           .lt(slots)
                           .view({panels.size(1), 1, fused::kPanelSlots});
  return panels * at::where(is_slot, ratio, at::zeros({}, ratio.options()));
}

}  // namespace

torch::Tensor SoftMix::logits() const {
  return panels_.defined() ? fused::logits_from_panels(panels_, options_.slots()) : logits_;
}

SoftRouting SoftMix::weights() const {
  if (!panels_.defined()) {
    return weights_;
  }
  const auto combine = fused::logits_from_panels(combine_panels_, options_.slots());
  return {.dispatch = logits().softmax(/*dim=*/1), .combine = combine.softmax(/*dim=*/2)};
}

SoftDispatch soft_dispatch(const torch::Tensor& tokens, const SlotParameters& parameters,
                           const SoftMixingOptions& options) {
  SoftDispatch result;
  result.mix.options_ = options;
  if (const auto precision = fused_precision(tokens, parameters, options)) {
    const auto keys = soft_keys(parameters.phi, parameters.scale, options.eps);  // [dim, slots]
    const auto dispatched =
        fused::soft_dispatch(tokens, keys, options.experts, options.eps, *precision);
    result.expert_inputs = dispatched.expert_inputs;  // [experts, rows, dim]
    result.mix.panels_ = dispatched.logits;
    result.mix.combine_panels_ = combine_panels(dispatched.logits, parameters, options.slots());
    return result;
  }
  auto logits = step_logits(tokens, parameters, options);
  result.mix.logits_ = logits.dispatch;
  if (logits.dispatch.defined() && options.noise > 0) {
    const auto noise = options.noise * randn_rows(logits.dispatch);
    const bool is_one = logits.combine.is_same(logits.dispatch);
    logits.dispatch = logits.dispatch + noise;
    logits.combine = is_one ? logits.dispatch : logits.combine + noise;
  }
  result.mix.weights_ = mixing_weights(tokens, logits, options);
  result.expert_inputs = dispatch_tokens(rounded(tokens, options), result.mix.weights_.dispatch,
                                         options.experts);  // [experts, rows, dim]
  return result;
}

torch::Tensor soft_combine(const torch::Tensor& expert_outputs, const SoftMix& mix) {
  return mix.panels_.defined()
             ? fused::soft_combine(expert_outputs, mix.combine_panels_)
             : combine_outputs(rounded(expert_outputs, mix.options_), mix.weights_.combine);
}

}  // namespace softmoe
