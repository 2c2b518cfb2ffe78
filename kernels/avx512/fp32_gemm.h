#pragma once
/// Small matrix products in fp32 whose factors lie in the first-level cache: attention within one
/// image and head, soft mixing within one image. Internal linkage, as math.h.

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx512/math.h"

namespace softmoe::kernels {
namespace {

/// A factor whose element (row, depth) is at data[row * row_stride + depth * depth_stride].
struct Strided {
  const float* data;
  int64_t row_stride;
  int64_t depth_stride;
};

template <int kRows, int kVectors, bool kAccumulate>
inline void fp32_tile(const Strided& a, int64_t first_row, const float* b, int64_t b_stride,
                      int64_t depth, float* out, int64_t out_stride) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
    for (int vector = 0; vector < kVectors; ++vector) {
      sums[row][vector] = kAccumulate
                              ? _mm512_loadu_ps(out + (first_row + row) * out_stride + 16 * vector)
                              : _mm512_setzero_ps();
    }
  }
  const float* left = a.data + first_row * a.row_stride;
  const int64_t row_stride = a.row_stride;
  for (int64_t index = 0; index < depth; ++index) {
    __m512 right[kVectors];
#pragma GCC unroll 2
    for (int vector = 0; vector < kVectors; ++vector) {
      right[vector] = _mm512_loadu_ps(b + 16 * vector);
    }
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      const __m512 value = _mm512_set1_ps(left[row * row_stride]);
#pragma GCC unroll 2
      for (int vector = 0; vector < kVectors; ++vector) {
        sums[row][vector] = _mm512_fmadd_ps(value, right[vector], sums[row][vector]);
      }
    }
    left += a.depth_stride;
    b += b_stride;
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
    for (int vector = 0; vector < kVectors; ++vector) {
      _mm512_storeu_ps(out + (first_row + row) * out_stride + 16 * vector, sums[row][vector]);
    }
  }
}

template <int kVectors, bool kAccumulate>
inline void fp32_columns(const Strided& a, int64_t rows, const float* b, int64_t b_stride,
                         int64_t depth, float* out, int64_t out_stride) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) {
    fp32_tile<8, kVectors, kAccumulate>(a, row, b, b_stride, depth, out, out_stride);
  }
  if (row + 4 <= rows) {
    fp32_tile<4, kVectors, kAccumulate>(a, row, b, b_stride, depth, out, out_stride);
    row += 4;
  }
  if (row + 2 <= rows) {
    fp32_tile<2, kVectors, kAccumulate>(a, row, b, b_stride, depth, out, out_stride);
    row += 2;
  }
  if (row < rows) {
    fp32_tile<1, kVectors, kAccumulate>(a, row, b, b_stride, depth, out, out_stride);
  }
}

/// out [rows, columns] (+)= a [rows, depth] b [depth, columns]; `columns` is a multiple of 16 and
/// the rows of `b` and `out` are at least so long.
template <bool kAccumulate = false>
inline void fp32_gemm(int64_t rows, int64_t columns, int64_t depth, const Strided& a,
                      const float* b, int64_t b_stride, float* out, int64_t out_stride) {
  int64_t column = 0;
  for (; column + 32 <= columns; column += 32) {
    fp32_columns<2, kAccumulate>(a, rows, b + column, b_stride, depth, out + column, out_stride);
  }
  if (column < columns) {
    fp32_columns<1, kAccumulate>(a, rows, b + column, b_stride, depth, out + column, out_stride);
  }
}

/// target [columns, rows] = source [rows, columns] transposed; its rows are zero from `rows` up to
/// the next multiple of 16. `columns` is a multiple of 16.
inline void fp32_transpose(const float* source, int64_t source_stride, int64_t rows,
                           int64_t columns, float* target, int64_t target_stride) {
  for (int64_t row = 0; row < rows; row += 16) {
    for (int64_t column = 0; column < columns; column += 16) {
      __m512i block[16];
#pragma GCC unroll 16
      for (int64_t line = 0; line < 16; ++line) {
        block[line] = row + line < rows
                          ? _mm512_loadu_si512(source + (row + line) * source_stride + column)
                          : _mm512_setzero_si512();
      }
      transpose(block);
#pragma GCC unroll 16
      for (int64_t line = 0; line < 16; ++line) {
        _mm512_storeu_si512(target + (column + line) * target_stride + row, block[line]);
      }
    }
  }
}

}  // namespace
}  // namespace softmoe::kernels
