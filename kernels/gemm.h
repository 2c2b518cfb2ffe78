#pragma once
/// Matrix products in fp32, or of bf16 factors with fp32 sums, for training: what precedes and
/// follows a product happens while its tile is in registers or in the first-level cache.
///
/// out [rows, columns] = a [rows, depth] b [depth, columns]; units.h says how the factors lie.

#include <cstdint>

#include "core/activation.h"
#include "kernels/units.h"

namespace softmoe::kernels {

/// Memory that is wanted next: `rows` stretches of `lines` cache lines, `stride` bytes apart.
struct Upcoming {
  const char* data = nullptr;
  int64_t stride = 0;
  int64_t rows = 0;
  int64_t lines = 0;
};
/// `rows` rows of `columns` values of a matrix with rows `stride` values apart.
Upcoming upcoming(Source matrix, int64_t stride, int64_t rows, int64_t columns);

/// Sizes of a product, and what is to be fetched from memory meanwhile: a cache line for every unit
/// of a tile's depth, as far as that goes. If experts have few rows, their weights take as long to
/// arrive as to be multiplied.
struct GemmShape {
  Precision precision;  ///< of the factors: kFloat32 or kBFloat16
  int64_t rows;
  int64_t columns;
  int64_t units;
  Upcoming next{};
};

/// What becomes of the values that are in the output of a product.
enum class OutputMode {
  kReplace,
  kAdd,
  /// Replaced past the caches: for outputs that do not fit into them. `out` begins at a multiple of
  /// 64 bytes and has rows of a multiple of 16 columns.
  kStream
};

struct GemmKernels {
  /// out = a b + bias + residual. `bias` [columns] and `residual` [rows, columns], whose rows are
  /// as far apart as those of `out`, may be null; a residual goes with an output of fp32.
  void (*gemm)(const GemmShape& shape, const LeftUnits& a, const Unit* b, const float* bias,
               const float* residual, Target out, int64_t out_stride);
  /// before = a b + bias and after = GELU(before), kGeluTanh or kGeluExact, both in the precision
  /// of the factors; `before` may be null.
  void (*gemm_gelu)(const GemmShape& shape, const LeftUnits& a, const Unit* b, const float* bias,
                    Activation gelu, Target before, Target after, int64_t stride);
  /// after = GELU(before) and d_before = (a b) GELU'(before).
  void (*gemm_gelu_backward)(const GemmShape& shape, const LeftUnits& a, const Unit* b,
                             Activation gelu, Source before, Target after, Target d_before,
                             int64_t stride);
  /// out (+)= y^T x over `shape.units` units of rows: `y` from pack_left_transposed, `x` from
  /// pack_rows, rows [first, last) of the output, `first` a multiple of 8.
  void (*gemm_left_transposed)(const GemmShape& shape, int64_t first, int64_t last, const Unit* y,
                               const Unit* x, OutputMode mode, float* out, int64_t out_stride);
};

/// Packing of factors. With kFloat32 the source is fp32.
struct PackKernels {
  /// Packs columns [first, last) of b [depth, columns] = w^T from `w` [columns, depth] with rows
  /// `stride` apart. `first` is a multiple of 32, `last` too or the number of columns.
  void (*pack_transposed)(Precision precision, Source w, int64_t stride, int64_t depth,
                          int64_t first, int64_t last, Unit* packed);
  /// Packs columns [first, last) of `b` [depth, columns] with rows `stride` apart. `first` is a
  /// multiple of 32, `last` too or the number of columns.
  void (*pack_rows)(Precision precision, Source b, int64_t stride, int64_t depth, int64_t first,
                    int64_t last, Unit* packed);
  /// Columns of a tile of pack_left_transposed() in bf16: 8, or 1 for whole rows of units. Those of
  /// fp32 have 8.
  int64_t bf16_left_tile;
  /// Packs columns [first, last), multiples of 8 but for the number of columns, of `y` [rows,
  /// columns] into tiles, [columns / tile, units of rows, tile], the left factor of y^T x, the
  /// number of columns rounded up to 8; adds the sum of each column to `column_sums` [columns] if
  /// it is not null.
  void (*pack_left_transposed)(Precision precision, Source y, int64_t stride, int64_t rows,
                               int64_t first, int64_t last, Unit* packed, float* column_sums);
  /// `target` [rows, columns] of bf16 from `source`; both with rows `..._stride` apart. A column of
  /// zeros follows an odd number of columns.
  void (*to_bf16)(Source source, int64_t source_stride, int64_t rows, int64_t columns, Bf16* target,
                  int64_t target_stride);
};

}  // namespace softmoe::kernels
