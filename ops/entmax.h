#pragma once
/// A softmax that gives zeros: 1.5-entmax.

#include <torch/types.h>

namespace softmoe {

/// 1.5-entmax of `logits` [..., count] along the last axis: the distribution p that maximises
/// p . logits plus the Tsallis entropy of order 1.5, which is p = max(logits / 2 - tau, 0)^2 with
/// the one threshold tau for which p sums to 1. Exact: tau is found by sorting. Computed in the
/// dtype of `logits`, differentiable. Source: Peters et al., arXiv:1905.05702, algorithm 2 and
/// proposition 2.
torch::Tensor entmax15(const torch::Tensor& logits);

}  // namespace softmoe
