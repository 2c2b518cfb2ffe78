#pragma once
/// MLPs as one operator on our kernels.

#include "ops/mlp.h"

namespace softmoe::fused {

/// Returns true if mlp() takes these: even sizes, contiguous fp32 weights, a GELU that is tanh or
/// exact.
bool takes_mlp(const MlpParameters& parameters, Activation activation);

/// softmoe::mlp() and softmoe::expert_mlp() without dropout, in fp32 with a residual and in
/// `precision` without. Throws c10::ValueError for what it does not take.
torch::Tensor mlp(const torch::Tensor& x, const MlpParameters& parameters, Activation activation,
                  Precision precision, const torch::Tensor& residual = {});

}  // namespace softmoe::fused
