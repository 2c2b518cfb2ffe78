#pragma once
/// The largest softmax gates of a router, without the softmax: it is computed block by block in
/// the cache, forward and again backward, and never stored. With thousands of experts its passes
/// over the memory would take longer than the experts themselves.

#include <torch/types.h>

namespace softmoe {

/// The largest gates, best first; the lower index first among equal ones.
struct TopGates {
  torch::Tensor index;  ///< int64
  torch::Tensor gate;   ///< differentiable
};

/// The `count` experts of each token with the largest gates, [groups, tokens, count], of
/// softmax over experts of `logits` [groups, tokens, experts].
TopGates top_gates_of_tokens(const torch::Tensor& logits, int64_t count);

/// The `count` tokens of each expert and group with the largest of these gates,
/// [groups, experts, count].
TopGates top_gates_of_experts(const torch::Tensor& logits, int64_t count);

}  // namespace softmoe
