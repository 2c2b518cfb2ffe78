#pragma once
/// LayerNorm over the last axis.

#include <torch/types.h>

namespace softmoe {

/// LayerNorm of `x` [..., dim]; `weight` [dim], `bias` [dim] or undefined.
torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, double eps);

/// What a residual branch starts from.
struct NormedBranch {
  torch::Tensor normed;  ///< LayerNorm of x
  torch::Tensor skip;    ///< x, for the addition at the end of the branch
};

/// What the normed values go into, which decides their dtype under autocast.
enum class NormedFor {
  kProducts,  ///< matrix products alone: the dtype of autocast will do
  kRouting,   ///< fp32 logits too: fp32
};

/// LayerNorm of `x` as the start of a residual branch. With `x` handed through, one pass adds the
/// gradients of both.
NormedBranch layer_norm_branch(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, double eps, NormedFor use);

}  // namespace softmoe
