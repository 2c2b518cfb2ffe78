#pragma once
/// The product of kernels.h with our own vectors.

#include "bench/simd/kernels.h"
#include "bench/simd/own/vector.h"

namespace softmoe::simd::SOFTMOE_LEVEL {

template <int kRows, int kVectors>
void multiply_tile(int64_t depth, const float* a, int64_t a_stride, const float* b,
                   int64_t b_stride, bool accumulate, float* out, int64_t out_stride) {
  Floats sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kVectors; ++vector) {
      sums[row][vector] = accumulate ? load(out + row * out_stride + vector * kLanes) : Floats{};
    }
  }
  for (int64_t index = 0; index < depth; ++index) {
    // The shorter side of the tile stays in registers, the other one is read vector by vector.
    if constexpr (kRows < kVectors) {
      Floats left[kRows];
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        left[row] = broadcast(a[row * a_stride + index]);
      }
#pragma GCC unroll 8
      for (int vector = 0; vector < kVectors; ++vector) {
        const Floats right = load(b + vector * kLanes);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
          sums[row][vector] = multiply_add(left[row], right, sums[row][vector]);
        }
      }
    } else {
      Floats right[kVectors];
#pragma GCC unroll 8
      for (int vector = 0; vector < kVectors; ++vector) {
        right[vector] = load(b + vector * kLanes);
      }
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const Floats left = broadcast(a[row * a_stride + index]);
#pragma GCC unroll 8
        for (int vector = 0; vector < kVectors; ++vector) {
          sums[row][vector] = multiply_add(left, right[vector], sums[row][vector]);
        }
      }
    }
    b += b_stride;
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kVectors; ++vector) {
      store(out + row * out_stride + vector * kLanes, sums[row][vector]);
    }
  }
}

/// Rows left over by whole tiles of kRows + 1 rows.
template <int kRows, int kVectors>
void multiply_rest(int64_t rows, int64_t depth, const float* a, int64_t a_stride, const float* b,
                   int64_t b_stride, bool accumulate, float* out, int64_t out_stride) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      multiply_tile<kRows, kVectors>(depth, a, a_stride, b, b_stride, accumulate, out, out_stride);
    } else {
      multiply_rest<kRows - 1, kVectors>(rows, depth, a, a_stride, b, b_stride, accumulate, out,
                                         out_stride);
    }
  }
}

template <int kRows, int kVectors>
void multiply(int64_t rows, int64_t depth, int64_t columns, const float* a, int64_t a_stride,
              const RightFactor& b, float* out, int64_t out_stride) {
  constexpr int64_t kRowBlock = 192;  // of `a`, which stay in the second-level cache
  constexpr int64_t kDepth = 256;     // of a panel, which stays in the first-level cache
  constexpr int64_t kColumns = kVectors * kLanes;
  for (int64_t top = 0; top < rows; top += kRowBlock) {
    const int64_t bottom = top + kRowBlock < rows ? top + kRowBlock : rows;
    for (int64_t panel = 0; panel < columns; panel += b.panel_columns) {
      for (int64_t first = 0; first < depth; first += kDepth) {
        const int64_t count = first + kDepth < depth ? kDepth : depth - first;
        for (int64_t column = 0; column < b.panel_columns; column += kColumns) {
          const float* right =
              b.data + panel / b.panel_columns * b.panel_stride + first * b.row_stride + column;
          int64_t row = top;
          for (; row + kRows <= bottom; row += kRows) {
            multiply_tile<kRows, kVectors>(count, a + row * a_stride + first, a_stride, right,
                                           b.row_stride, first > 0,
                                           out + row * out_stride + panel + column, out_stride);
          }
          multiply_rest<kRows - 1, kVectors>(bottom - row, count, a + row * a_stride + first,
                                             a_stride, right, b.row_stride, first > 0,
                                             out + row * out_stride + panel + column, out_stride);
        }
      }
    }
  }
}

}  // namespace softmoe::simd::SOFTMOE_LEVEL
