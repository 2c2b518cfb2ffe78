#pragma once
/// Matrix products in fp32 over panels: the right factor lies as [columns / 32, depth, 32], so that
/// what a product reads again and again is one stretch of memory that fits into the first-level
/// cache, however long the rows of the whole matrix are. Internal linkage, as math.h.

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx512/math.h"

namespace softmoe::kernels {
namespace {

inline constexpr int64_t kPanel = 32;

/// A left factor whose element (row, depth) is at
/// data[row * row_stride + depth / 32 * block_stride + depth % 32 * depth_stride].
struct LeftPanels {
  const float* data;
  int64_t row_stride;
  int64_t depth_stride;
  int64_t block_stride;
};

/// Rows `stride` apart, as they are.
inline LeftPanels as_rows(const float* data, int64_t stride) { return {data, stride, 1, kPanel}; }
/// The transpose of rows `stride` apart.
inline LeftPanels as_columns(const float* data, int64_t stride) {
  return {data, 1, stride, kPanel * stride};
}
/// Panels [depth / 32, rows, 32].
inline LeftPanels as_panels(const float* data, int64_t rows) {
  return {data, kPanel, 1, rows * kPanel};
}

template <int kRows, int kVectors, bool kAccumulate>
inline void panel_tile(const LeftPanels& a, const float* b, int64_t depth, float* out,
                       int64_t out_stride) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
    for (int vector = 0; vector < kVectors; ++vector) {
      sums[row][vector] =
          kAccumulate ? _mm512_loadu_ps(out + row * out_stride + 16 * vector) : _mm512_setzero_ps();
    }
  }
  const int64_t row_stride = a.row_stride;
  const int64_t depth_stride = a.depth_stride;
  for (int64_t first = 0; first < depth; first += kPanel) {
    const float* left = a.data + first / kPanel * a.block_stride;
    const int64_t count = depth - first < kPanel ? depth - first : kPanel;
    for (int64_t index = 0; index < count; ++index) {
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
      left += depth_stride;
      b += kPanel;
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
    for (int vector = 0; vector < kVectors; ++vector) {
      _mm512_storeu_ps(out + row * out_stride + 16 * vector, sums[row][vector]);
    }
  }
}

template <int kVectors, bool kAccumulate>
inline void panel_rows(LeftPanels a, int64_t rows, const float* b, int64_t depth, float* out,
                       int64_t out_stride) {
  const auto step = [&](int64_t count) {
    a.data += count * a.row_stride;
    out += count * out_stride;
    rows -= count;
  };
  for (; rows >= 8; step(8)) {
    panel_tile<8, kVectors, kAccumulate>(a, b, depth, out, out_stride);
  }
  if (rows >= 4) {
    panel_tile<4, kVectors, kAccumulate>(a, b, depth, out, out_stride);
    step(4);
  }
  if (rows >= 2) {
    panel_tile<2, kVectors, kAccumulate>(a, b, depth, out, out_stride);
    step(2);
  }
  if (rows > 0) {
    panel_tile<1, kVectors, kAccumulate>(a, b, depth, out, out_stride);
  }
}

/// out [rows, columns] (+)= a [rows, depth] b [depth, columns] for one panel of `b`: up to 32
/// columns, of which whole vectors of 16 are computed and written.
inline void panel_product(LeftPanels a, int64_t rows, const float* b, int64_t depth,
                          int64_t columns, bool accumulate, float* out, int64_t out_stride) {
  constexpr int64_t kDepth = 256;  // of which a panel takes two thirds of the first-level cache
  for (int64_t first = 0; first < depth; first += kDepth) {
    const int64_t count = depth - first < kDepth ? depth - first : kDepth;
    if (accumulate) {
      columns > 16 ? panel_rows<2, true>(a, rows, b, count, out, out_stride)
                   : panel_rows<1, true>(a, rows, b, count, out, out_stride);
    } else {
      columns > 16 ? panel_rows<2, false>(a, rows, b, count, out, out_stride)
                   : panel_rows<1, false>(a, rows, b, count, out, out_stride);
    }
    accumulate = true;
    a.data += kDepth / kPanel * a.block_stride;
    b += kDepth * kPanel;
  }
}

/// panel_product() by all panels of `b`, [columns / 32, b_depth, 32], of which the first `depth`
/// rows of each are taken; the columns are a multiple of 16.
inline void panels_product(const LeftPanels& a, int64_t rows, const float* b, int64_t b_depth,
                           int64_t depth, int64_t columns, bool accumulate, float* out,
                           int64_t out_stride) {
  for (int64_t column = 0; column < columns; column += kPanel) {
    panel_product(a, rows, b + column * b_depth, depth, columns - column, accumulate, out + column,
                  out_stride);
  }
}

/// Row `row` of panels [columns / 32, rows, 32] from `columns` values, a multiple of 16.
inline void to_panels(Source source, int64_t columns, int64_t row, int64_t rows, float* panels) {
  for (int64_t column = 0; column < columns; column += 16) {
    _mm512_storeu_ps(panels + (column / kPanel * rows + row) * kPanel + column % kPanel,
                     load(source, column, 0xFFFF));
  }
}

}  // namespace
}  // namespace softmoe::kernels
