#pragma once
/// Rows of matrices one at a time: what dispatch and combine by index are made of.

#include <cstdint>

#include "kernels/types.h"

namespace softmoe::kernels {

struct RowKernels {
  /// out [dim] = row [dim].
  void (*copy_row)(Source row, int64_t dim, Target out);
  /// out [dim] = sum over i < count of gate[index[i]] * rows[index[i]], in that order; `gate` may
  /// be null: 1. `rows` [any, dim].
  void (*sum_rows)(Source rows, const float* gate, const int64_t* index, int64_t count, int64_t dim,
                   Target out);
  /// d_row [dim] = gate * d_out [dim]; returns the product of row and d_out, the gate's gradient.
  float (*scale_row)(Source row, Source d_out, float gate, int64_t dim, Target d_row);
};

}  // namespace softmoe::kernels
