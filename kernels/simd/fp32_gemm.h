#pragma once
/// Small matrix products in fp32 whose factors lie in the first-level cache: attention within one
/// image and head. Internal linkage, as vector.h.

#include "kernels/simd/fp32_tiles.h"

namespace softmoe::kernels {
namespace {

/// out [rows, columns] (+)= a [rows, depth] b [depth, columns]; `columns` is a multiple of 16 and
/// the rows of `b` and `out` are at least so long.
template <bool kAccumulate = false>
inline void fp32_gemm(int64_t rows, int64_t columns, int64_t depth, const LeftMatrix& a,
                      const float* b, int64_t b_stride, float* out, int64_t out_stride) {
  for (int64_t column = 0; column < columns; column += kPanel) {
    fp32_columns<kAccumulate>(a, rows, columns - column, b + column, b_stride, depth, out + column,
                              out_stride);
  }
}

}  // namespace
}  // namespace softmoe::kernels
