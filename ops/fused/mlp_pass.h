#pragma once
/// The passes of a two-layer MLP, or of many experts, over plain memory; mlp.cpp makes an
/// operator of them.

#include "kernels/gemm.h"

namespace softmoe::fused {

/// Sizes of one expert's MLP.
struct MlpShape {
  Precision precision;  // of products and of what is kept between them
  int64_t experts;
  int64_t rows;
  int64_t dim;
  int64_t hidden;
  Activation activation;  // kGeluTanh or kGeluExact

  int64_t units(int64_t depth) const { return kernels::units_of(precision, depth); }
};

/// Memory of the forward pass for the first expert; that of the others follows.
struct MlpForwardJob {
  kernels::Source x;           // [rows, dim]
  kernels::Target x_kept;      // [rows, dim], written if x is rounded to bf16
  kernels::Source fc1_weight;  // [hidden, dim]
  const float* fc1_bias;       // [hidden]
  kernels::Source fc2_weight;  // [dim, hidden]
  const float* fc2_bias;       // [dim]
  const float* residual;       // [rows, dim] or null
  kernels::Target before;      // [rows, hidden], before the GELU, or null
  kernels::Target out;         // [rows, dim]
};

/// Memory of the backward pass for the first expert; that of the others follows. Gradients that are
/// null are not computed.
struct MlpBackwardJob {
  kernels::Source d_out;   // [rows, dim]
  kernels::Source x;       // [rows, dim]
  kernels::Source before;  // [rows, hidden]
  kernels::Source fc1_weight;
  kernels::Source fc2_weight;
  kernels::Target d_x;  // [rows, dim]
  float* d_fc1_weight;
  float* d_fc1_bias;
  float* d_fc2_weight;
  float* d_fc2_bias;
};

/// Runs all rows of all experts through both layers.
void mlp_forward(const MlpShape& shape, const MlpForwardJob& job);

/// Gradients of the values and the weights.
void mlp_backward(const MlpShape& shape, const MlpBackwardJob& job);

}  // namespace softmoe::fused
