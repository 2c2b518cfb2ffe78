#pragma once
/// The mathematics of Soft MoE routing, by libtorch's operators.
///
/// Every slot of every expert is a weighted average of all tokens of an image, and every output
/// token a weighted average of all slot outputs (Puigcerver et al., arXiv:2308.00951). In the
/// notation of the paper m tokens, n experts of p slots, d channels; here tokens, experts,
/// slots_per_expert, dim, and slots = experts * slots_per_expert.

#include <torch/types.h>

namespace softmoe {

/// Mixing weights of one layer; fp32 (fp64 for fp64 tokens), whatever the autocast mode.
struct SoftRouting {
  torch::Tensor dispatch;  ///< [batch, tokens, slots], sums to 1 over tokens
  torch::Tensor combine;   ///< [batch, tokens, slots], sums to 1 over slots
};

/// `x` divided by sqrt(sum of squares over `axis` + eps): the reference code's normalisation.
torch::Tensor l2_normalize(const torch::Tensor& x, int64_t axis, double eps);

/// The slot parameters `phi` [dim, slots] as the tokens meet them: normalised over dim, times
/// `scale` []; fp32 (fp64 for fp64).
torch::Tensor soft_keys(const torch::Tensor& phi, const torch::Tensor& scale, double eps);

/// Routing logits [batch, tokens, slots] of `x` [batch, tokens, dim] by `phi` [dim, slots] and
/// `scale` []: cosine similarities times the scale. Section 2.3 of the paper; `eps` is added to the
/// squared norms.
torch::Tensor soft_logits(const torch::Tensor& x, const torch::Tensor& phi,
                          const torch::Tensor& scale, double eps);

/// Dispatch and combine weights from the logits: algorithm 1 of the paper.
SoftRouting soft_weights(const torch::Tensor& logits);

/// Expert inputs [experts, batch * slots_per_expert, dim]: the averages of `x`
/// [batch, tokens, dim] by `dispatch` [batch, tokens, slots].
torch::Tensor dispatch_tokens(const torch::Tensor& x, const torch::Tensor& dispatch,
                              int64_t experts);

/// Output tokens [batch, tokens, dim] from `expert_outputs`
/// [experts, batch * slots_per_expert, dim] by `combine` [batch, tokens, slots].
torch::Tensor combine_outputs(const torch::Tensor& expert_outputs, const torch::Tensor& combine);

/// `x` rounded to `dtype` and back to its own, in the backward pass as well: what the reference
/// does to the data (not the weights) just before dispatch and combine.
torch::Tensor round_through(const torch::Tensor& x, torch::Dtype dtype);

}  // namespace softmoe
