#pragma once
/// Matrix products whose right factor was packed once: what inference is made of.
///
/// out [rows, columns] = a [rows, depth] b [depth, columns], with factors of one of three
/// precisions, kFloat32, kBFloat16 or kInt8, that lie as units.h says. Sums are fp32, those of
/// integers exact.

#include <cstdint>

#include "core/activation.h"
#include "kernels/units.h"

namespace softmoe::kernels {

/// Sizes of a product.
struct ProductShape {
  int64_t rows;
  int64_t columns;
  int64_t units;
};

/// The right factor: panels `panel_stride` units apart. While one is multiplied the one behind it
/// is fetched from memory; `next` (or null) is what follows the last.
struct RightPanels {
  const Unit* data;
  int64_t panel_stride;
  const Unit* next = nullptr;
};

/// What 8-bit factors stand for. A right one is column_scales times an integer of -127 to 127. A
/// left one is row_scales (integer - row_zeros) with an integer of 0 to 255, or, if `row_zeros`
/// is null, a 16-bit integer less 2^15, times row_scales, in two rows: high bytes, low bytes.
struct IntegerScales {
  const float* row_scales = nullptr;     ///< [rows]
  const float* row_zeros = nullptr;      ///< [rows]
  const float* column_scales = nullptr;  ///< [columns]
  const int32_t* column_sums = nullptr;  ///< [columns]: of the integers of each column
};

/// Columns of a product per output of an activation of it. For kSwiGlu each panel is 16 gates and
/// their 16 values, which make 16 outputs.
inline constexpr int64_t columns_per_output(Activation activation) {
  return activation == Activation::kSwiGlu ? 2 : 1;
}

/// Where the product goes: activation(row_factors * product + bias), or with `accumulate` its sum
/// with what is there. Null pointers are left out; activations and sums need not go together. An
/// activation is as precise as the output. kSwiGlu takes whole panels.
struct ProductFinish {
  Target out{};
  int64_t out_stride = 0;
  const float* bias = nullptr;         ///< [columns]
  const float* row_factors = nullptr;  ///< [rows]
  Activation activation = Activation::kNone;
  bool accumulate = false;  ///< fp32 alone
  IntegerScales integers{};
};

/// Products of fp32 or bf16, on the calling thread. Levels that do not multiply bf16 make fp32 of
/// it on the way.
struct FloatProductKernels {
  /// Rows whose sums are in registers at once. A product is fastest with a multiple of it.
  int64_t fp32_tile_rows;
  int64_t bf16_tile_rows;
  void (*product_fp32)(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                       const ProductFinish& finish);
  void (*product_bf16)(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                       const ProductFinish& finish);
};

/// Products of 8-bit integers, on the calling thread.
struct IntegerProductKernels {
  void (*product_int8)(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                       const ProductFinish& finish);
};

}  // namespace softmoe::kernels
