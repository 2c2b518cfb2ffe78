#pragma once
/// The element-wise work of a training step over all parameters at once: one pass, one parallel
/// region, where libtorch's operators take one for each parameter.

#include <torch/types.h>

#include <vector>

#include "kernels/update.h"

namespace softmoe {

/// Whether the functions below take these tensors: fp32 and contiguous on a CPU with AVX-512.
bool fused_update_takes(const std::vector<torch::Tensor>& tensors);

/// One step of AdamW for lists of equal length.
void fused_adamw(const kernels::AdamWStep& step, const std::vector<torch::Tensor>& gradients,
                 const std::vector<torch::Tensor>& parameters,
                 const std::vector<torch::Tensor>& means,
                 const std::vector<torch::Tensor>& mean_squares);

/// The Euclidean norm of all tensors together, summed in fp64 in an order of its own, whatever the
/// number of threads.
double fused_norm(const std::vector<torch::Tensor>& tensors);

/// Multiplies all tensors by `factor`.
void fused_multiply(const std::vector<torch::Tensor>& tensors, double factor);

}  // namespace softmoe
