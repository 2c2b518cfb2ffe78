#pragma once
/// Precisions on devices and as dtypes of tensors.

#include <torch/types.h>

#include <string>

#include "core/precision.h"

namespace softmoe {

/// Returns true if `device` multiplies bf16 matrices in hardware: on a CPU, if the level of the
/// kernels in use does.
bool has_fast_bf16(const torch::Device& device);

/// What "auto" stands for on `device`: kBFloat16 if it is fast there, else kFloat32.
Precision fastest_precision(const torch::Device& device);

/// The floating-point precision called `name`, or that of "auto" on `device`. Throws UsageError.
Precision compute_precision(const std::string& name, const torch::Device& device);

/// The dtype of tensors between products, and of weights before they become 8-bit integers.
torch::Dtype tensor_dtype(Precision precision);

/// The dtype of the fastest matrix products in `precision`. Products of 8-bit weights and 16-bit
/// activations are no faster than those of bf16.
torch::Dtype product_dtype(Precision precision);

}  // namespace softmoe
