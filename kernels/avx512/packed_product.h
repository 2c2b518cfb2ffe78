#pragma once
/// The loops under packed_product.h, for one precision each. Internal linkage, as math.h.

#include <array>
#include <cstring>
#include <utility>

#include "kernels/avx512/gelu.h"
#include "kernels/avx512/math.h"
#include "kernels/packed_product.h"

namespace softmoe::kernels {
namespace {

/// Rows whose sums are in registers at once: 28 of 32, with two vectors of the right factor and
/// one of the left.
constexpr int64_t kMaxRows = 14;

/// Sums of kRows rows and one panel, into `sums` [kRows, 32], while `ahead` is fetched into the
/// second-level cache. A function of its own: beside the code that follows a product the compiler
/// would not keep all sums in registers.
template <typename Steps, int kRows>
__attribute__((noinline)) void sum_rows(const LeftUnits& left, int64_t first_row, const Unit* panel,
                                        int64_t units, const char* ahead, int64_t ahead_step,
                                        void* sums) {
  typename Steps::Sum low[kRows];
  typename Steps::Sum high[kRows];
#pragma GCC unroll 14
  for (int row = 0; row < kRows; ++row) {
    low[row] = Steps::zero();
    high[row] = Steps::zero();
  }
  const int64_t row_stride = left.row_stride;
  const int64_t unit_stride = left.unit_stride;
  const Unit* at = left.data + first_row * row_stride;
  for (int64_t unit = 0; unit < units; ++unit) {
    const __m512i right_low = _mm512_loadu_si512(panel);
    const __m512i right_high = _mm512_loadu_si512(panel + 16);
    asm volatile("prefetcht1 %0" : : "m"(*ahead));
    asm volatile("prefetcht1 %0" : : "m"(*(ahead + ahead_step / 2)));
    ahead += ahead_step;
#pragma GCC unroll 14
    for (int row = 0; row < kRows; ++row) {
      int bits = 0;
      std::memcpy(&bits, at + row * row_stride, sizeof(bits));
      const __m512i value = _mm512_set1_epi32(bits);
      low[row] = Steps::step(low[row], value, right_low);
      high[row] = Steps::step(high[row], value, right_high);
    }
    at += unit_stride;
    panel += kUnitColumns;
  }
  auto* const out = static_cast<char*>(sums);
#pragma GCC unroll 14
  for (int row = 0; row < kRows; ++row) {
    std::memcpy(out + row * 128, &low[row], 64);
    std::memcpy(out + row * 128 + 64, &high[row], 64);
  }
}

using SumRows = void (*)(const LeftUnits&, int64_t, const Unit*, int64_t, const char*, int64_t,
                         void*);

template <typename Steps, size_t... kIndices>
constexpr std::array<SumRows, kMaxRows> sum_table(std::index_sequence<kIndices...>) {
  return {sum_rows<Steps, static_cast<int>(kIndices) + 1>...};
}

/// Rows [first, first + count) of one panel, whose first column is `column`.
struct ProductTile {
  int64_t first;
  int64_t count;
  int64_t column;
  int64_t out_column;
  __mmask16 low;
  __mmask16 high;
};

/// Half a panel's columns.
template <bool kBf16>
inline void store_half(const Target& out, int64_t at, __m512 values) {
  if constexpr (kBf16) {
    store_bf16(out.bf16 + at, values);
  } else {
    _mm512_storeu_ps(out.fp32 + at, values);
  }
}

template <Activation kActivation, bool kBf16, bool kAccumulate>
void finish_tile(const ProductFinish& finish, const ProductTile& tile, const float* sums) {
  __m512 bias_low = _mm512_setzero_ps();
  __m512 bias_high = _mm512_setzero_ps();
  if (finish.bias != nullptr) {
    bias_low = _mm512_maskz_loadu_ps(tile.low, finish.bias + tile.column);
    bias_high = _mm512_maskz_loadu_ps(tile.high, finish.bias + tile.column + 16);
  }
  for (int64_t row = 0; row < tile.count; ++row) {
    const float factor =
        finish.row_factors != nullptr ? finish.row_factors[tile.first + row] : 1.0F;
    __m512 low = _mm512_fmadd_ps(_mm512_load_ps(sums + row * 32), _mm512_set1_ps(factor), bias_low);
    __m512 high =
        _mm512_fmadd_ps(_mm512_load_ps(sums + row * 32 + 16), _mm512_set1_ps(factor), bias_high);
    const int64_t at = (tile.first + row) * finish.out_stride + tile.out_column;
    if constexpr (kActivation == Activation::kSwiGlu) {
      store_half<kBf16>(finish.out, at, _mm512_mul_ps(silu<!kBf16>(low), high));
    } else if constexpr (kBf16) {
      store_bf16(static_cast<__mmask32>(tile.low) | static_cast<__mmask32>(tile.high) << 16,
                 finish.out.bf16 + at, activate<kActivation, false>(low),
                 activate<kActivation, false>(high));
    } else {
      low = activate<kActivation, true>(low);
      high = activate<kActivation, true>(high);
      float* const target = finish.out.fp32 + at;
      if constexpr (kAccumulate) {
        low = _mm512_add_ps(low, _mm512_maskz_loadu_ps(tile.low, target));
        high = _mm512_add_ps(high, _mm512_maskz_loadu_ps(tile.high, target + 16));
      }
      _mm512_mask_storeu_ps(target, tile.low, low);
      _mm512_mask_storeu_ps(target + 16, tile.high, high);
    }
  }
}

using FinishTile = void (*)(const ProductFinish&, const ProductTile&, const float*);

template <bool kBf16>
FinishTile activation_finish(Activation activation) {
  switch (activation) {
    case Activation::kGeluTanh:
      return finish_tile<Activation::kGeluTanh, kBf16, false>;
    case Activation::kGeluExact:
      return finish_tile<Activation::kGeluExact, kBf16, false>;
    case Activation::kGeluQuick:
      return finish_tile<Activation::kGeluQuick, kBf16, false>;
    case Activation::kSwiGlu:
      return finish_tile<Activation::kSwiGlu, kBf16, false>;
    default:
      return finish_tile<Activation::kNone, kBf16, false>;
  }
}

inline FinishTile finish_of(const ProductFinish& finish) {
  if (finish.accumulate) {
    return finish_tile<Activation::kNone, false, true>;
  }
  return finish.out.bf16 != nullptr ? activation_finish<true>(finish.activation)
                                    : activation_finish<false>(finish.activation);
}

/// Asks for the outputs of a tile, which are far apart and needed after its sums.
inline void fetch_outputs(const ProductFinish& finish, const ProductTile& tile) {
  const bool bf16 = finish.out.bf16 != nullptr;
  for (int64_t row = 0; row < tile.count; ++row) {
    const int64_t at = (tile.first + row) * finish.out_stride + tile.out_column;
    const char* const bytes = bf16 ? reinterpret_cast<const char*>(finish.out.bf16 + at)
                                   : reinterpret_cast<const char*>(finish.out.fp32 + at);
    asm volatile("prefetcht0 %0" : : "m"(*bytes));
    if (!bf16) {
      asm volatile("prefetcht0 %0" : : "m"(*(bytes + 64)));
    }
  }
}

/// A tile's share of the panel to come: `step` bytes a unit from `data` on.
struct Ahead {
  const char* data;
  int64_t step;
};

/// One tile takes both cache lines of each unit; of more, the first two take half of them each.
inline Ahead ahead_of(const Unit* panel, const Unit* next, int64_t units, int64_t tile,
                      int64_t tiles) {
  if (next == nullptr || tile >= 2) {
    return {reinterpret_cast<const char*>(panel), 0};
  }
  const auto* const data = reinterpret_cast<const char*>(next);
  return tiles == 1 ? Ahead{data, 128} : Ahead{data + tile * units * 64, 64};
}

/// The whole product. Every row of the output is kLeftRows rows of the left factor; `to_floats`
/// makes fp32 of a tile's sums in place.
template <typename Steps, int64_t kLeftRows, typename ToFloats>
inline void product_of(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                       const ProductFinish& finish, const ToFloats& to_floats) {
  constexpr int64_t kTile = kMaxRows / kLeftRows;
  static constexpr auto kTable = sum_table<Steps>(std::make_index_sequence<kMaxRows>());
  const FinishTile finish_rows = finish_of(finish);
  const int64_t tiles = (shape.rows + kTile - 1) / kTile;
  alignas(64) float sums[kMaxRows * kUnitColumns];
  for (int64_t column = 0; column < shape.columns; column += kUnitColumns) {
    const Unit* const panel = right.data + column / kUnitColumns * right.panel_stride;
    const Unit* const next =
        column + kUnitColumns < shape.columns ? panel + right.panel_stride : right.next;
    for (int64_t index = 0; index < tiles; ++index) {
      const int64_t first = shape.rows * index / tiles;
      const int64_t count = shape.rows * (index + 1) / tiles - first;
      const ProductTile tile{first,
                             count,
                             column,
                             column / columns_per_output(finish.activation),
                             lanes16(column, shape.columns),
                             lanes16(column + 16, shape.columns)};
      fetch_outputs(finish, tile);
      const Ahead ahead = ahead_of(panel, next, shape.units, index, tiles);
      kTable[static_cast<size_t>(count * kLeftRows - 1)](left, first * kLeftRows, panel,
                                                         shape.units, ahead.data, ahead.step, sums);
      to_floats(tile, sums);
      finish_rows(finish, tile, sums);
    }
  }
}

}  // namespace
}  // namespace softmoe::kernels
