#pragma once
/// The passes of a linear map over plain memory; linear.cpp makes an operator of them.

#include "kernels/gemm.h"

namespace softmoe::fused {

/// Sizes of y [rows, outputs] = x [rows, inputs] weight^T [inputs, outputs].
struct LinearShape {
  Precision precision;  // of products
  int64_t rows;
  int64_t inputs;
  int64_t outputs;
};

/// Memory of the forward pass.
struct LinearForwardJob {
  kernels::Source x;
  kernels::Source weight;
  const float* bias;  // [outputs] or null
  kernels::Target y;
};

/// Memory of the backward pass. Gradients that are null are not computed.
struct LinearBackwardJob {
  kernels::Source d_y;
  kernels::Source x;
  kernels::Source weight;
  kernels::Target d_x;
  float* d_weight;
  float* d_bias;
};

void linear_forward(const LinearShape& shape, const LinearForwardJob& job);

void linear_backward(const LinearShape& shape, const LinearBackwardJob& job);

}  // namespace softmoe::fused
