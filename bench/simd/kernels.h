#pragma once
/// What both ways of writing vector kernels provide: one table of functions per processor level.

#include <cstdint>

namespace softmoe::simd {

inline constexpr int64_t kPanelColumns = 32;

/// A right factor whose element (depth, column) is at
/// data[column / panel_columns * panel_stride + depth * row_stride + column % panel_columns].
struct RightFactor {
  const float* data;
  int64_t panel_columns;
  int64_t panel_stride;
  int64_t row_stride;
};

/// `matrix` packed as [columns / panel_columns, depth, panel_columns].
constexpr RightFactor packed_factor(const float* matrix, int64_t depth,
                                    int64_t panel_columns = kPanelColumns) {
  return {matrix, panel_columns, depth * panel_columns, panel_columns};
}

/// out [rows, columns] = a [rows, depth] b [depth, columns]; rows of `a` and `out` lie their
/// strides apart, `columns` is a multiple of 32, and a panel of `b` is no narrower than the tile.
using Product = void (*)(int64_t rows, int64_t depth, int64_t columns, const float* a,
                         int64_t a_stride, const RightFactor& b, float* out, int64_t out_stride);

/// A product and the tile of `out` that it keeps in registers.
struct TiledProduct {
  int64_t tile_rows;
  int64_t tile_columns;
  Product multiply;
};

/// Attention of one head, out = softmax(q k^T / sqrt(head_dim)) v, all [tokens, head_dim] with rows
/// `stride` apart; `head_dim` is a multiple of 32.
struct Head {
  int64_t tokens;
  int64_t head_dim;
  int64_t stride;
  const float* q;
  const float* k;
  const float* v;
  float* scratch;  ///< attention_scratch() values
  float* out;
};

/// Rows of scores that are computed, normalised and multiplied by `v` together.
inline constexpr int64_t kScoreRows = 24;

constexpr int64_t padded_tokens(int64_t tokens) {
  return (tokens + kPanelColumns - 1) / kPanelColumns * kPanelColumns;
}
/// Values of Head::scratch: the keys in panels and kScoreRows rows of scores.
constexpr int64_t attention_scratch(int64_t tokens, int64_t head_dim) {
  return padded_tokens(tokens) * (head_dim + kScoreRows);
}

struct Kernels {
  const char* level;
  TiledProduct narrow;  ///< tile of at most half a panel, if the level has one; else as `wide`
  TiledProduct wide;    ///< the tile that attention uses
  void (*attention)(const Head& head);
};

/// A loop of fused multiply-adds on registers alone: the peak of a level.
struct FmaLoop {
  float (*run)(int64_t steps, float factor);
  int64_t flops_per_step;
};

}  // namespace softmoe::simd
