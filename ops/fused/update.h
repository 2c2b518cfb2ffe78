#pragma once
/// The element-wise work of a training step on our kernels: one pass, one parallel region, where
/// libtorch's operators take one for each parameter.

#include "ops/optimizer_update.h"

namespace softmoe::fused {

/// Returns true if the functions below take these tensors: contiguous fp32 on a CPU with kernels.
bool takes_update(const std::vector<torch::Tensor>& tensors);
/// Returns true if adamw() takes these tensors, whose means of gradients may be bf16.
bool takes_adamw(const UpdatedTensors& tensors);

/// softmoe::adamw_update() of tensors that are all taken.
void adamw(const AdamWStep& step, const UpdatedTensors& tensors);

/// Returns true if adamw_8bit() takes these tensors.
bool takes_adamw_8bit(const UpdatedTensors& tensors);
/// softmoe::adamw_8bit_update() of tensors that are all taken.
void adamw_8bit(const AdamWStep& step, const UpdatedTensors& tensors);

/// The Euclidean norm of all tensors together, summed in fp64 in an order of its own, whatever the
/// number of threads.
double global_norm(const std::vector<torch::Tensor>& tensors);

/// Multiplies all tensors by `factor`.
void multiply(const std::vector<torch::Tensor>& tensors, double factor);

}  // namespace softmoe::fused
