#pragma once
/// Matrix products of bf16 factors with fp32 sums, for shapes too small for a general library:
/// what precedes and follows a product happens while its tile is in registers.
///
/// out [rows, columns] = a [rows, depth] b [depth, columns]. Two neighbours along the depth share
/// 32 bits, as vdpbf16ps takes them ("pairs"); an odd depth is filled up with zero. `b` comes
/// packed in panels of 32 columns: [columns / 32, pairs, 32].

#include <cstdint>

#include "core/activation.h"
#include "kernels/types.h"

namespace softmoe::kernels {

using Pair = uint32_t;

inline constexpr int64_t kPanelColumns = 32;
inline constexpr int64_t kTileRows = 8;

inline constexpr int64_t pairs_of(int64_t depth) { return (depth + 1) / 2; }
/// Size of a packed `b` in pairs.
inline constexpr int64_t packed_size(int64_t depth, int64_t columns) {
  return round_up(columns, kPanelColumns) * pairs_of(depth);
}

/// Packs columns [first, last) of b [depth, columns] = w^T from `w` [columns, depth] with rows
/// `stride` apart. `first` is a multiple of 32, `last` too or the number of columns.
void pack_transposed(Source w, int64_t stride, int64_t depth, int64_t first, int64_t last,
                     Pair* packed);
/// Packs columns [first, last) of `b` [depth, columns] with rows `stride` apart. `first` is a
/// multiple of 32, `last` too or the number of columns.
void pack_rows(Source b, int64_t stride, int64_t depth, int64_t first, int64_t last, Pair* packed);

/// Packs columns [first, last), multiples of 8 but for the number of columns, of `y` [rows,
/// columns] into tiles of 8 columns, [columns / 8, pairs of rows, 8], the left factor of y^T x;
/// adds the sum of each column to `column_sums` [columns] if it is not null.
void pack_left_transposed(Source y, int64_t stride, int64_t rows, int64_t first, int64_t last,
                          Pair* packed, float* column_sums);

/// The left factor: pair p of row r is at data[r * row_stride + p * pair_stride].
struct LeftFactor {
  const Pair* data;
  int64_t row_stride;
  int64_t pair_stride;
};
/// Rows of bf16 values `stride` (even) apart.
inline LeftFactor left_rows(const Bf16* rows, int64_t stride) {
  return {reinterpret_cast<const Pair*>(rows), stride / 2, 1};
}

/// Memory that is wanted next: `rows` stretches of `lines` cache lines, `stride` bytes apart.
struct Upcoming {
  const char* data = nullptr;
  int64_t stride = 0;
  int64_t rows = 0;
  int64_t lines = 0;
};
/// `rows` rows of `columns` values of a matrix with rows `stride` values apart.
Upcoming upcoming(Source matrix, int64_t stride, int64_t rows, int64_t columns);

/// Sizes of a product, and what is to be fetched from memory meanwhile: a cache line for every pair
/// of a tile's depth, as far as that goes. Where experts have few rows, their weights take as long
/// to arrive as to be multiplied.
struct GemmShape {
  int64_t rows;
  int64_t columns;
  int64_t pairs;
  Upcoming next{};
};

/// out = a b + bias + residual. `bias` [columns] and `residual` [rows, columns], whose rows are as
/// far apart as those of `out`, may be null.
void gemm(const GemmShape& shape, const LeftFactor& a, const Pair* b, const float* bias,
          const float* residual, Target out, int64_t out_stride);

/// What becomes of the values that are in the output of a product.
enum class OutputMode {
  kReplace,
  kAdd,
  /// Replaced past the caches: for outputs that do not fit into them. `out` begins at a multiple of
  /// 64 bytes and has rows of a multiple of 16 columns.
  kStream
};

/// out (+)= y^T x over `pairs` pairs of rows: `y` from pack_left_transposed, `x` from pack_rows,
/// rows [first, last) of the output, `first` a multiple of 8.
void gemm_left_transposed(int64_t first, int64_t last, int64_t columns, int64_t pairs,
                          const Pair* y, const Pair* x, OutputMode mode, float* out,
                          int64_t out_stride);

/// before = a b + bias and after = GELU(before), kGeluTanh or kGeluExact; `before` may be null.
void gemm_gelu(const GemmShape& shape, const LeftFactor& a, const Pair* b, const float* bias,
               Activation gelu, Bf16* before, Bf16* after, int64_t stride);

/// after = GELU(before) and d_before = (a b) GELU'(before).
void gemm_gelu_backward(const GemmShape& shape, const LeftFactor& a, const Pair* b, Activation gelu,
                        const Bf16* before, Bf16* after, Bf16* d_before, int64_t stride);

/// `target` [rows, columns] of bf16 from `source`; both with rows `..._stride` apart. A column of
/// zeros follows an odd number of columns.
void to_bf16(Source source, int64_t source_stride, int64_t rows, int64_t columns, Bf16* target,
             int64_t target_stride);

}  // namespace softmoe::kernels
