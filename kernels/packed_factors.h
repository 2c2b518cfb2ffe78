#pragma once
/// The factors of packed_product.h: rows in units, panels of them, and 8-bit integers.

#include <cstdint>

#include "kernels/packed_product.h"

namespace softmoe::kernels {

/// LayerNorm of `count` rows of `dim` values with an affine map [dim] each (`bias` may be null).
struct RowNorm {
  int64_t dim;
  float eps;
  const float* weight;
  const float* bias;
};

struct FactorKernels {
  /// Writes one row of `depth` values times `factor` as units of fp32 or bf16; what the values do
  /// not fill in the last unit is zero.
  void (*encode_row)(Precision precision, Source row, int64_t depth, float factor, Unit* units);
  /// Writes one row of `depth` values times `factor` as integers of -127 to 127 times the scale
  /// that is returned, the smallest that holds the whole row. Writes the sum of the integers of
  /// each `chunk` values to `sums`, `stride` apart.
  float (*encode_row_int8)(Source row, int64_t depth, float factor, int64_t chunk, Unit* units,
                           int32_t* sums, int64_t stride);
  /// One panel [units, 32] from up to 32 rows of units, `stride` apart, which become its columns;
  /// columns without a row are zero.
  void (*pack_panel)(const Unit* rows, int64_t stride, int64_t count, int64_t units, Unit* panel);
  /// One unit of the depth of a right factor [depth, columns] of fp32 or bf16 in panels
  /// `panel_stride` apart: `first` [columns] alone, or with `second` beside it (zero if it is
  /// null). `target` is that unit of the first panel.
  void (*pack_depth_unit)(Precision precision, Source first, Source second, int64_t columns,
                          Unit* target, int64_t panel_stride);
  /// Rows of `columns` values, `stride` apart, as integers of 0 to 255 in rows of units
  /// `out_stride` apart: value = scales[row] (integer - zeros[row]).
  void (*quantize_bytes)(Source rows, int64_t stride, int64_t count, int64_t columns, Unit* out,
                         int64_t out_stride, float* scales, float* zeros);
  /// Rows of bf16 as integers of 16 bits, each in two rows of units `out_stride` apart, the high
  /// bytes and the low bytes: value = scales[row] (256 high + low - 2^15).
  void (*quantize_planes)(const Bf16* rows, int64_t stride, int64_t count, int64_t columns,
                          Unit* out, int64_t out_stride, float* scales);
  /// Writes to `fp32` and `bf16`, of which either may be null, `out_stride` values apart; `fp32`
  /// may be `x` itself. `x` has rows `stride` apart.
  void (*norm_rows)(const RowNorm& norm, const float* x, int64_t stride, int64_t count, float* fp32,
                    int64_t fp32_stride, Bf16* bf16, int64_t bf16_stride);
  /// 1 / sqrt(sum of squares + eps) of each row.
  void (*inverse_norms)(const float* rows, int64_t stride, int64_t count, int64_t dim, float eps,
                        float* inverse);
  /// e^value of `count` rows of `columns` values in place of them or as bf16, zero up to
  /// `padded` columns, and the inverse of each row's sum.
  void (*exponential_rows)(const float* rows, int64_t stride, int64_t count, int64_t columns,
                           int64_t padded, Target out, int64_t out_stride, float* inverse_sums);
  /// Inverse sums of up to 32 columns of `rows` rows `stride` apart.
  void (*inverse_column_sums)(Source values, int64_t stride, int64_t rows, int64_t columns,
                              float* inverse_sums);
};

}  // namespace softmoe::kernels
