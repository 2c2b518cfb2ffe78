#pragma once
/// A linear map as one operator on our kernels.

#include <torch/types.h>

#include "core/precision.h"

namespace softmoe::fused {

/// Returns true if linear() takes these: a weight of fp32, two axes, no bias or one of fp32.
bool takes_linear(const torch::Tensor& weight, const torch::Tensor& bias);

/// softmoe::linear() with products and outputs of `precision`, kFloat32 or kBFloat16. Throws
/// c10::ValueError for what it does not take.
torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                     Precision precision);

}  // namespace softmoe::fused
