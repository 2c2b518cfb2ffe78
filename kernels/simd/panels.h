#pragma once
/// Matrix products in fp32 over panels: the right factor lies as [columns / 32, depth, 32], so that
/// what a product reads again and again is one stretch of memory that fits into the first-level
/// cache, however long the rows of the whole matrix are. Internal linkage, as vector.h.

#include "kernels/simd/fp32_tiles.h"

namespace softmoe::kernels {
namespace {

/// out [rows, columns] (+)= a [rows, depth] b [depth, columns] for one panel of `b`: up to 32
/// columns, of which whole groups of 16 are computed and written.
inline void panel_product(LeftMatrix a, int64_t rows, const float* b, int64_t depth,
                          int64_t columns, bool accumulate, float* out, int64_t out_stride) {
  // A panel of so many rows takes two thirds of the first-level cache, or half of a smaller one.
  constexpr int64_t kDepth = kLanes == 16 ? 256 : 128;
  for (int64_t first = 0; first < depth; first += kDepth) {
    const int64_t count = depth - first < kDepth ? depth - first : kDepth;
    const auto step = accumulate ? fp32_columns<true> : fp32_columns<false>;
    step(a, rows, columns, b, kPanel, count, out, out_stride);
    accumulate = true;
    a.data += kDepth / kPanel * a.block_stride;
    b += kDepth * kPanel;
  }
}

/// panel_product() by all panels of `b`, [columns / 32, b_depth, 32], of which the first `depth`
/// rows of each are taken; the columns are a multiple of 16.
inline void panels_product(const LeftMatrix& a, int64_t rows, const float* b, int64_t b_depth,
                           int64_t depth, int64_t columns, bool accumulate, float* out,
                           int64_t out_stride) {
  for (int64_t column = 0; column < columns; column += kPanel) {
    panel_product(a, rows, b + column * b_depth, depth, columns - column, accumulate, out + column,
                  out_stride);
  }
}

/// Row `row` of panels [columns / 32, rows, 32] from `columns` values, a multiple of 16.
inline void to_panels(Source source, int64_t columns, int64_t row, int64_t rows, float* panels) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    store(panels + (column / kPanel * rows + row) * kPanel + column % kPanel, load(source, column));
  }
}

}  // namespace
}  // namespace softmoe::kernels
