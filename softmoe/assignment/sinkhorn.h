#pragma once
/// Entropic optimal transport between the tokens of a group and the experts, in the log domain.

#include <torch/types.h>

#include <cstdint>

namespace softmoe {

struct SinkhornOptions {
  double temperature = 1.0;  ///< divides the logits
  double tolerance = 1e-3;   ///< largest relative error of a column sum at which iterations end
  int64_t iterations = 100;  ///< at most; at least 1
};

/// How the tokens of each group are spread over experts.
struct TransportPlan {
  torch::Tensor plan;  ///< [groups, tokens, experts]: rows sum to 1, columns to tokens / experts
  double error = 0.0;  ///< largest relative error of a column sum, of all groups
  int64_t iterations = 0;  ///< done
};

/// The plan of `logits` [groups, tokens, experts], fp32 or fp64, without gradient: iterations that
/// normalise first over tokens, then over experts. What they converge to does not change with
/// a term of each token or of each expert in the logits. Source: Cuturi, arXiv:1306.0895, as used
/// by Clark et al., arXiv:2202.01169.
TransportPlan sinkhorn_plan(const torch::Tensor& logits, const SinkhornOptions& options);

/// The plan after exactly `iterations`, with gradients through all of them.
torch::Tensor sinkhorn_unrolled(const torch::Tensor& logits, double temperature,
                                int64_t iterations);

/// Tokens that each expert takes for equal loads: tokens * choices / experts, rounded up so that
/// places never run short.
int64_t equal_load(int64_t tokens, int64_t choices, int64_t experts);

/// What an expert's output is multiplied by, [groups, tokens, experts]: the sigmoid of the logits
/// if a token has one expert, their softmax over all experts if it has more.
torch::Tensor transport_gates(const torch::Tensor& logits, int64_t choices);

}  // namespace softmoe
