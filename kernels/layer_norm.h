#pragma once
/// LayerNorm over the rows of a matrix, in fp32.

#include <cstdint>

#include "kernels/types.h"

namespace softmoe::kernels {

/// Sizes and affine map: `weight` [dim], `bias` [dim] or null.
struct LayerNormShape {
  int64_t rows;
  int64_t dim;
  float eps;
  const float* weight;
  const float* bias;
};

struct LayerNormKernels {
  /// `y` [rows, dim] of `x` [rows, dim]; keeps mean and inverse deviation of each row in
  /// `statistics` [rows, 2].
  void (*layer_norm_forward)(const LayerNormShape& shape, Source x, Target y, float* statistics);
  /// `d_x` from `d_y`, plus `d_skip` [rows, dim] if it is not null; adds the gradients of weight
  /// and bias to `d_affine` [2, dim].
  void (*layer_norm_backward)(const LayerNormShape& shape, Source x, const float* statistics,
                              Source d_y, const float* d_skip, Target d_x, float* d_affine);
};

}  // namespace softmoe::kernels
