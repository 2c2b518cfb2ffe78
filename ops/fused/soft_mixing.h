#pragma once
/// The mixing steps of Soft MoE as two operators on our kernels. All arithmetic is fp32.

#include <torch/types.h>

#include "core/precision.h"

namespace softmoe::fused {

/// Returns true if the operators below take `tokens` [batch, tokens, dim]: dim a multiple of 16.
bool takes_soft_mixing(const torch::Tensor& tokens);

/// Slots whose logits lie together.
inline constexpr int64_t kPanelSlots = 32;

/// Expert inputs and the logits that combine their outputs.
struct PanelDispatch {
  torch::Tensor expert_inputs;  ///< [experts, batch * slots_per_expert, dim]
  /// [batch, panels, tokens, 32], fp32: in panels of 32 slots, what slots do not fill unspecified.
  torch::Tensor logits;
};

/// Logits and the dispatch of `tokens` [batch, tokens, dim] by `keys` [dim, slots], the normalised
/// slot parameters times the scale; `eps` is added to the tokens' squared norms. Expert inputs are
/// of `precision`, kFloat32 or kBFloat16.
PanelDispatch soft_dispatch(const torch::Tensor& tokens, const torch::Tensor& keys, int64_t experts,
                            double eps, Precision precision);

/// Output tokens [batch, tokens, dim], fp32, from `expert_outputs`
/// [experts, batch * slots_per_expert, dim] by the softmax over slots of PanelDispatch::logits.
torch::Tensor soft_combine(const torch::Tensor& expert_outputs, const torch::Tensor& logits);

/// Logits [batch, tokens, slots] from panels of them.
torch::Tensor logits_from_panels(const torch::Tensor& panels, int64_t slots);

}  // namespace softmoe::fused
