#pragma once
/// LayerNorm as one operator on our kernels.

#include "ops/layer_norm.h"

namespace softmoe::fused {

/// Returns true if the functions below take a norm of this `weight`: fp32.
bool takes_layer_norm(const torch::Tensor& weight);

/// softmoe::layer_norm(), computed in fp32 and given as `dtype`, fp32 or bf16.
torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, double eps,
                         torch::Dtype dtype = torch::kFloat32);

/// softmoe::layer_norm_branch() with `normed` as `dtype`.
NormedBranch layer_norm_branch(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, double eps, torch::Dtype dtype);

}  // namespace softmoe::fused
