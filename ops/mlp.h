#pragma once
/// Two-layer MLPs: of a block, and of all experts of a layer at once.

#include <torch/types.h>

#include "core/activation.h"

namespace softmoe {

/// Parameters of a two-layer MLP, or of many with a first axis of experts. With SwiGLU fc1 has
/// 2 hidden outputs: gates before values.
struct MlpParameters {
  torch::Tensor fc1_weight;  ///< [hidden, dim] or [experts, hidden, dim]
  torch::Tensor fc1_bias;    ///< [hidden] or [experts, hidden]
  torch::Tensor fc2_weight;  ///< [dim, hidden] or [experts, dim, hidden]
  torch::Tensor fc2_bias;    ///< [dim] or [experts, dim]
};

/// Dropout behind both layers, which evaluation leaves out.
struct MlpDropout {
  double rate = 0.0;
  bool training = false;

  bool drops() const { return training && rate > 0; }
};

/// fc2(activation(fc1(x))) of `x` [..., dim], plus `residual` of the same shape if it is defined.
torch::Tensor mlp(const torch::Tensor& x, const MlpParameters& parameters, Activation activation,
                  const MlpDropout& dropout = {}, const torch::Tensor& residual = {});

/// The rows of each expert in `x` [experts, rows, dim] through its own MLP.
torch::Tensor expert_mlp(const torch::Tensor& x, const MlpParameters& parameters,
                         Activation activation, const MlpDropout& dropout = {});

}  // namespace softmoe
