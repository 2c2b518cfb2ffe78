#pragma once
/// Linear maps.

#include <torch/types.h>

namespace softmoe {

/// `x` [..., inputs] times the transpose of `weight` [outputs, inputs], plus `bias` [outputs] if it
/// is defined: [..., outputs].
torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight,
                     const torch::Tensor& bias);

/// `x` [..., inputs] times the transpose of `weight` [outputs, inputs] in fp32 (fp64 for fp64 `x`)
/// under any autocast: for logits of routers.
torch::Tensor exact_linear(const torch::Tensor& x, const torch::Tensor& weight);

}  // namespace softmoe
