#pragma once
/// The sums of a few rows and columns of an fp32 product whose factors lie in the caches. Internal
/// linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

inline constexpr int64_t kPanel = kPanelColumns;

/// A left factor whose element (row, depth) is at
/// data[row * row_stride + depth / 32 * block_stride + depth % 32 * depth_stride].
struct LeftMatrix {
  const float* data;
  int64_t row_stride;
  int64_t depth_stride;
  int64_t block_stride;
};

/// Rows `stride` apart, as they are.
inline LeftMatrix as_rows(const float* data, int64_t stride) { return {data, stride, 1, kPanel}; }
/// The transpose of rows `stride` apart.
inline LeftMatrix as_columns(const float* data, int64_t stride) {
  return {data, 1, stride, kPanel * stride};
}
/// Panels [depth / 32, rows, 32].
inline LeftMatrix as_panels(const float* data, int64_t rows) {
  return {data, kPanel, 1, rows * kPanel};
}

/// Rows of a tile of kVectors vectors.
template <int kVectors>
inline constexpr int kFp32Rows = kSumVectors / kVectors < 8 ? kSumVectors / kVectors : 8;

template <int kRows, int kVectors>
inline void add_depth(Floats (&sums)[kRows][kVectors], const float* left, int64_t row_stride,
                      const float* b) {
  if constexpr (kVectors <= 2) {
    Floats right[kVectors];
#pragma GCC unroll 2
    for (int vector = 0; vector < kVectors; ++vector) {
      right[vector] = load(b + kLanes * vector);
    }
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      const Floats value = set1(left[row * row_stride]);
#pragma GCC unroll 2
      for (int vector = 0; vector < kVectors; ++vector) {
        sums[row][vector] = fmadd(value, right[vector], sums[row][vector]);
      }
    }
  } else {
    Floats value[kRows];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      value[row] = set1(left[row * row_stride]);
    }
#pragma GCC unroll 8
    for (int vector = 0; vector < kVectors; ++vector) {
      const Floats right = load(b + kLanes * vector);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        sums[row][vector] = fmadd(value[row], right, sums[row][vector]);
      }
    }
  }
}

/// out [kRows, columns] (+)= a [kRows, depth] b [depth, columns] for kVectors vectors of columns.
template <int kRows, int kVectors, bool kAccumulate>
inline void fp32_tile(const LeftMatrix& a, const float* b, int64_t b_stride, int64_t depth,
                      float* out, int64_t out_stride) {
  Floats sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kVectors; ++vector) {
      sums[row][vector] = kAccumulate ? load(out + row * out_stride + kLanes * vector) : zero();
    }
  }
  const int64_t row_stride = a.row_stride;
  const int64_t depth_stride = a.depth_stride;
  for (int64_t first = 0; first < depth; first += kPanel) {
    const float* left = a.data + first / kPanel * a.block_stride;
    const int64_t count = depth - first < kPanel ? depth - first : kPanel;
    for (int64_t index = 0; index < count; ++index) {
      add_depth<kRows, kVectors>(sums, left, row_stride, b);
      left += depth_stride;
      b += b_stride;
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kVectors; ++vector) {
      store(out + row * out_stride + kLanes * vector, sums[row][vector]);
    }
  }
}

/// The last `rows` rows, fewer than a tile has.
template <int kRows, int kVectors, bool kAccumulate>
inline void fp32_rest(const LeftMatrix& a, int64_t rows, const float* b, int64_t b_stride,
                      int64_t depth, float* out, int64_t out_stride) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      fp32_tile<kRows, kVectors, kAccumulate>(a, b, b_stride, depth, out, out_stride);
    } else {
      fp32_rest<kRows - 1, kVectors, kAccumulate>(a, rows, b, b_stride, depth, out, out_stride);
    }
  }
}

/// out [rows, columns] (+)= a [rows, depth] b [depth, columns] for kVectors vectors of columns.
template <int kVectors, bool kAccumulate>
inline void fp32_rows(LeftMatrix a, int64_t rows, const float* b, int64_t b_stride, int64_t depth,
                      float* out, int64_t out_stride) {
  constexpr int kRows = kFp32Rows<kVectors>;
  for (; rows >= kRows; rows -= kRows) {
    fp32_tile<kRows, kVectors, kAccumulate>(a, b, b_stride, depth, out, out_stride);
    a.data += kRows * a.row_stride;
    out += kRows * out_stride;
  }
  fp32_rest<kRows - 1, kVectors, kAccumulate>(a, rows, b, b_stride, depth, out, out_stride);
}

/// fp32_rows() for up to 32 columns, of which whole groups of 16 are computed and written.
template <bool kAccumulate>
inline void fp32_columns(const LeftMatrix& a, int64_t rows, int64_t columns, const float* b,
                         int64_t b_stride, int64_t depth, float* out, int64_t out_stride) {
  if (columns > 16) {
    fp32_rows<kPanelVectors, kAccumulate>(a, rows, b, b_stride, depth, out, out_stride);
  } else {
    fp32_rows<kPanelVectors / 2, kAccumulate>(a, rows, b, b_stride, depth, out, out_stride);
  }
}

/// target [columns, rows] = source [rows, columns] transposed; its rows are zero from `rows` up to
/// the next multiple of 16. `columns` is a multiple of 16.
inline void fp32_transpose(const float* source, int64_t source_stride, int64_t rows,
                           int64_t columns, float* target, int64_t target_stride) {
  for (int64_t row = 0; row < round_up(rows, 16); row += kLanes) {
    for (int64_t column = 0; column < columns; column += kLanes) {
      Ints block[kLanes];
#pragma GCC unroll 16
      for (int64_t line = 0; line < kLanes; ++line) {
        block[line] = row + line < rows ? load_ints(source + (row + line) * source_stride + column)
                                        : zero_ints();
      }
      transpose(block);
#pragma GCC unroll 16
      for (int64_t line = 0; line < kLanes; ++line) {
        store_ints(target + (column + line) * target_stride + row, block[line]);
      }
    }
  }
}

}  // namespace
}  // namespace softmoe::kernels
