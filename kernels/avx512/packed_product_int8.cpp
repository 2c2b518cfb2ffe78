#include "kernels/avx512/packed_product.h"

namespace softmoe::kernels {
namespace {

struct Int8Steps {
  using Sum = __m512i;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Sum step(Sum sum, __m512i left, __m512i right) {
    return _mm512_dpbusd_epi32(sum, left, right);
  }
};

/// What one half of a panel's columns stands for.
struct ColumnHalf {
  ColumnHalf(const IntegerScales& scales, __mmask16 mask, int64_t column)
      : factors(_mm512_maskz_loadu_ps(mask, scales.column_scales + column)),
        sums(_mm512_maskz_loadu_epi32(mask, scales.column_sums + column)) {}
  __m512 factors;
  __m512i sums;
};

__m512i load_sums(const float* sums) { return _mm512_load_si512(sums); }

/// 8-bit rows: sum of (integer - zero) b = sum of integer b - zero times the column's sum.
void bytes_to_floats(const IntegerScales& scales, const ProductTile& tile, float* sums) {
  const ColumnHalf halves[2]{{scales, tile.low, tile.column},
                             {scales, tile.high, tile.column + 16}};
  for (int64_t row = 0; row < tile.count; ++row) {
    const __m512 scale = _mm512_set1_ps(scales.row_scales[tile.first + row]);
    const __m512 zero = _mm512_set1_ps(scales.row_zeros[tile.first + row]);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      float* const at = sums + row * kUnitColumns + 16 * half;
      const __m512 centred = _mm512_fnmadd_ps(zero, _mm512_cvtepi32_ps(halves[half].sums),
                                              _mm512_cvtepi32_ps(load_sums(at)));
      _mm512_store_ps(at, _mm512_mul_ps(_mm512_mul_ps(centred, scale), halves[half].factors));
    }
  }
}

/// 16-bit rows in two: 256 (high - 128) + low is the integer less 2^15.
void planes_to_floats(const IntegerScales& scales, const ProductTile& tile, float* sums) {
  const ColumnHalf halves[2]{{scales, tile.low, tile.column},
                             {scales, tile.high, tile.column + 16}};
  for (int64_t row = 0; row < tile.count; ++row) {
    const __m512 scale = _mm512_set1_ps(scales.row_scales[tile.first + row]);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const float* const at = sums + 2 * row * kUnitColumns + 16 * half;
      const __m512i high = _mm512_sub_epi32(load_sums(at), _mm512_slli_epi32(halves[half].sums, 7));
      const __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(high), _mm512_set1_ps(256.0F),
                                           _mm512_cvtepi32_ps(load_sums(at + kUnitColumns)));
      _mm512_store_ps(sums + row * kUnitColumns + 16 * half,
                      _mm512_mul_ps(_mm512_mul_ps(value, scale), halves[half].factors));
    }
  }
}

}  // namespace

void product_int8(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                  const ProductFinish& finish) {
  if (finish.integers.row_zeros != nullptr) {
    product_of<Int8Steps, 1>(shape, left, right, finish, [&](const ProductTile& tile, float* sums) {
      bytes_to_floats(finish.integers, tile, sums);
    });
  } else {
    product_of<Int8Steps, 2>(shape, left, right, finish, [&](const ProductTile& tile, float* sums) {
      planes_to_floats(finish.integers, tile, sums);
    });
  }
}

}  // namespace softmoe::kernels
