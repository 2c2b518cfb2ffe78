#include "kernels/simd/groups.h"
#include "kernels/simd/product.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// What one vector of a panel's columns stands for.
struct ColumnScales {
  ColumnScales(const IntegerScales& scales, const ProductBlock& block, int64_t column)
      : factors(load(lanes(column, block.columns), scales.column_scales + block.column + column)),
        sums(load_ints(lanes(column, block.columns), scales.column_sums + block.column + column)) {}
  /// The sums of the products with bytes less kOffset as those with the bytes.
  Ints restored(Ints products) const {
    return Int8Steps::kOffset == 0 ? products : add(products, shift_left<7>(sums));
  }
  Floats factors;
  Ints sums;
};

/// 8-bit rows: sum of (integer - zero) b = sum of integer b - zero times the column's sum.
void bytes_to_floats(const IntegerScales& scales, const ProductBlock& block, float* sums) {
  for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
    const ColumnScales columns(scales, block, column);
    for (int64_t row = 0; row < block.count; ++row) {
      const Floats scale = set1(scales.row_scales[block.first + row]);
      const Floats zero_point = set1(scales.row_zeros[block.first + row]);
      float* const at = sums + row * kPanelColumns + column;
      const Floats centred =
          fnmadd(zero_point, to_floats(columns.sums), to_floats(columns.restored(load_ints(at))));
      store(at, mul(mul(centred, scale), columns.factors));
    }
  }
}

/// 16-bit rows in two: 256 (high - 128) + low is the integer less 2^15.
void planes_to_floats(const IntegerScales& scales, const ProductBlock& block, float* sums) {
  for (int64_t row = 0; row < block.count; ++row) {
    const Floats scale = set1(scales.row_scales[block.first + row]);
    for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
      const ColumnScales columns(scales, block, column);
      const float* const at = sums + 2 * row * kPanelColumns + column;
      const Ints high = sub(columns.restored(load_ints(at)), shift_left<7>(columns.sums));
      const Floats value = fmadd(to_floats(high), set1(256.0F),
                                 to_floats(columns.restored(load_ints(at + kPanelColumns))));
      store(sums + row * kPanelColumns + column, mul(mul(value, scale), columns.factors));
    }
  }
}

void product_int8(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                  const ProductFinish& finish) {
  if (finish.integers.row_zeros != nullptr) {
    product_of<Int8Steps, 1>(shape, left, right, finish,
                             [&](const ProductBlock& block, float* sums) {
                               bytes_to_floats(finish.integers, block, sums);
                             });
  } else {
    product_of<Int8Steps, 2>(shape, left, right, finish,
                             [&](const ProductBlock& block, float* sums) {
                               planes_to_floats(finish.integers, block, sums);
                             });
  }
}

}  // namespace

const IntegerProductKernels kIntegerProductKernels{.product_int8 = product_int8};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
