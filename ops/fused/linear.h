#pragma once
/// The linear map of router logits as one operator on our kernels.

#include <torch/types.h>

namespace softmoe::fused {

/// Returns true if exact_linear() takes these: fp32, sizes that are multiples of 16.
bool takes_linear(const torch::Tensor& x, const torch::Tensor& weight);

/// softmoe::exact_linear(). Throws c10::ValueError for what it does not take.
torch::Tensor exact_linear(const torch::Tensor& x, const torch::Tensor& weight);

}  // namespace softmoe::fused
