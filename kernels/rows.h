#pragma once
/// Rows of matrices one at a time: what dispatch and combine by index are made of.

#include <cstdint>

#include "kernels/types.h"

namespace softmoe::kernels {

/// A weighted sum of rows of a matrix [any, dim], `stride` values apart.
struct RowSum {
  Source rows{};
  int64_t stride = 0;
  const float* gate = nullptr;     ///< [any]: the factor of each row; null: 1
  const int64_t* index = nullptr;  ///< [count]: which rows, in the order of the sum
  int64_t count = 0;
  bool accumulate = false;  ///< begin with what the target holds
};

struct RowKernels {
  /// out [dim] = row [dim].
  void (*copy_row)(Source row, int64_t dim, Target out);
  /// out [dim] = sum over i < count of gate[index[i]] * rows[index[i]].
  void (*sum_rows)(const RowSum& sum, int64_t dim, Target out);
  /// d_row [dim] = gate * d_out [dim]; returns the product of row and d_out, the gate's gradient.
  float (*scale_row)(Source row, Source d_out, float gate, int64_t dim, Target d_row);
};

}  // namespace softmoe::kernels
