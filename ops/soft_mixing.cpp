#include "ops/soft_mixing.h"

#include "ops/fused/applies.h"
#include "ops/fused/soft_mixing.h"

namespace softmoe {
namespace {

/// The precision of expert inputs if the fused operators take the call.
std::optional<Precision> fused_precision(const torch::Tensor& tokens,
                                         const SoftMixingOptions& options) {
  const bool is_plain =
      options.mixing == SoftMixing::kSoft && !options.rounds_to_bf16 && options.noise <= 0;
  return is_plain && fused::takes_soft_mixing(tokens) ? fused::precision_of(tokens) : std::nullopt;
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

/// The weights of both steps from logits with noise, [batch, tokens, slots].
SoftRouting mixing_weights(const torch::Tensor& tokens, const torch::Tensor& logits,
                           const SoftMixingOptions& options) {
  const int64_t slots = options.slots();
  return {.dispatch = learns_dispatch(options.mixing)
                          ? logits.softmax(/*dim=*/1)
                          : uniform_weights(tokens, slots, tokens.size(1)),
          .combine = learns_combine(options.mixing) ? logits.softmax(/*dim=*/2)
                                                    : uniform_weights(tokens, slots, slots)};
}

}  // namespace

torch::Tensor SoftMix::logits() const {
  return panels_.defined() ? fused::logits_from_panels(panels_, options_.slots()) : logits_;
}

SoftRouting SoftMix::weights() const {
  return panels_.defined() ? soft_weights(logits()) : weights_;
}

SoftDispatch soft_dispatch(const torch::Tensor& tokens, const SlotParameters& parameters,
                           const SoftMixingOptions& options) {
  const auto& [phi, scale] = parameters;
  SoftDispatch result;
  result.mix.options_ = options;
  if (const auto precision = fused_precision(tokens, options)) {
    const auto keys = soft_keys(phi, scale, options.eps);  // [dim, slots]
    const auto dispatched =
        fused::soft_dispatch(tokens, keys, options.experts, options.eps, *precision);
    result.expert_inputs = dispatched.expert_inputs;  // [experts, rows, dim]
    result.mix.panels_ = dispatched.logits;
    return result;
  }
  auto logits = torch::Tensor();  // [batch, tokens, slots]
  if (options.mixing != SoftMixing::kUniform) {
    logits = soft_logits(tokens, phi, scale, options.eps);
    result.mix.logits_ = logits;
  }
  if (logits.defined() && options.noise > 0) {
    logits = logits + options.noise * torch::randn_like(logits);
  }
  result.mix.weights_ = mixing_weights(tokens, logits, options);
  result.expert_inputs = dispatch_tokens(rounded(tokens, options), result.mix.weights_.dispatch,
                                         options.experts);  // [experts, rows, dim]
  return result;
}

torch::Tensor soft_combine(const torch::Tensor& expert_outputs, const SoftMix& mix) {
  return mix.panels_.defined()
             ? fused::soft_combine(expert_outputs, mix.panels_)
             : combine_outputs(rounded(expert_outputs, mix.options_), mix.weights_.combine);
}

}  // namespace softmoe
