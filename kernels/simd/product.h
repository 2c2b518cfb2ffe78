#pragma once
/// The loops under packed_product.h, for one precision each. Internal linkage, as vector.h.

#include "kernels/packed_product.h"
#include "kernels/simd/activations.h"
#include "kernels/simd/tiles.h"

namespace softmoe::kernels {
namespace {

/// Rows [first, first + count) of one panel, whose first column is `column`.
struct ProductBlock {
  int64_t first;
  int64_t count;
  int64_t column;
  int64_t columns;  ///< up to 32
  int64_t out_column;
};

template <Activation kActivation, bool kBf16, bool kAccumulate>
void finish_block(const ProductFinish& finish, const ProductBlock& block, const float* sums) {
  constexpr bool kGated = kActivation == Activation::kSwiGlu;
  constexpr int64_t kColumns = kGated ? kPanelColumns / 2 : kPanelColumns;
  for (int64_t column = 0; column < kColumns; column += kBf16 && !kGated ? 2 * kLanes : kLanes) {
    const Mask mask = lanes(column, block.columns);
    const Mask next_mask = lanes(column + kLanes, block.columns);
    const auto bias_at = [&](int64_t at, Mask wanted) {
      return finish.bias != nullptr ? load(wanted, finish.bias + block.column + at) : zero();
    };
    const Floats bias = bias_at(column, mask);
    const Floats value_bias =
        kGated ? bias_at(column + kColumns, all_lanes()) : bias_at(column + kLanes, next_mask);
    for (int64_t row = 0; row < block.count; ++row) {
      const Floats factor =
          set1(finish.row_factors != nullptr ? finish.row_factors[block.first + row] : 1.0F);
      const float* const from = sums + row * kPanelColumns + column;
      const Floats low = fmadd(load(from), factor, bias);
      const int64_t at = (block.first + row) * finish.out_stride + block.out_column + column;
      if constexpr (kGated) {
        const Floats value = fmadd(load(from + kColumns), factor, value_bias);
        store(finish.out, at, mul(silu<!kBf16>(low), value));
      } else if constexpr (kBf16) {
        const Floats high = fmadd(load(from + kLanes), factor, value_bias);
        store_bf16(finish.out.bf16 + at, pair_lanes(column, block.columns),
                   activate<kActivation, false>(low), activate<kActivation, false>(high));
      } else {
        const Floats value = activate<kActivation, true>(low);
        float* const target = finish.out.fp32 + at;
        store(target, mask, kAccumulate ? add(value, load(mask, target)) : value);
      }
    }
  }
}

using FinishBlock = void (*)(const ProductFinish&, const ProductBlock&, const float*);

template <bool kBf16>
FinishBlock activation_finish(Activation activation) {
  switch (activation) {
    case Activation::kGeluTanh:
      return finish_block<Activation::kGeluTanh, kBf16, false>;
    case Activation::kGeluExact:
      return finish_block<Activation::kGeluExact, kBf16, false>;
    case Activation::kGeluQuick:
      return finish_block<Activation::kGeluQuick, kBf16, false>;
    case Activation::kSwiGlu:
      return finish_block<Activation::kSwiGlu, kBf16, false>;
    default:
      return finish_block<Activation::kNone, kBf16, false>;
  }
}

inline FinishBlock finish_of(const ProductFinish& finish) {
  if (finish.accumulate) {
    return finish_block<Activation::kNone, false, true>;
  }
  return finish.out.bf16 != nullptr ? activation_finish<true>(finish.activation)
                                    : activation_finish<false>(finish.activation);
}

/// Asks for the outputs of a block, which are far apart and needed after its sums.
inline void fetch_outputs(const ProductFinish& finish, const ProductBlock& block) {
  for (int64_t row = 0; row < block.count; ++row) {
    fetch(finish.out, (block.first + row) * finish.out_stride + block.out_column);
  }
}

/// Units [unit, unit + units) of a tile's share of the panel to come. One tile takes both cache
/// lines of each unit; of more, the first two take half of the panel each.
inline Ahead ahead_of(const Unit* panel, const Unit* next, int64_t panel_units, int64_t tile,
                      int64_t tiles, int64_t unit) {
  if (next == nullptr || tile >= 2) {
    return {reinterpret_cast<const char*>(panel), 0};
  }
  const auto* const data = reinterpret_cast<const char*>(next);
  return tiles == 1 ? Ahead{data + unit * 128, 128}
                    : Ahead{data + (tile * panel_units + unit) * 64, 64};
}

/// The whole product. Every row of the output is kLeftRows rows of the left factor; `to_floats`
/// makes fp32 of a block's sums in place.
template <typename Steps, int64_t kLeftRows, typename ToFloats>
inline void product_of(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                       const ProductFinish& finish, const ToFloats& to_floats) {
  constexpr int64_t kBlock = kBlockRows / kLeftRows;
  alignas(64) static constexpr float kZeros[kPanelColumns] = {};
  const FinishBlock finish_rows = finish_of(finish);
  const int64_t blocks = (shape.rows + kBlock - 1) / kBlock;
  const int64_t tiles = (shape.rows * kLeftRows + kMaxRows - 1) / kMaxRows;
  alignas(64) float sums[kBlockRows * kPanelColumns];
  for (int64_t column = 0; column < shape.columns; column += kPanelColumns) {
    const Unit* const panel = right.data + column / kPanelColumns * right.panel_stride;
    const Unit* const next =
        column + kPanelColumns < shape.columns ? panel + right.panel_stride : right.next;
    for (int64_t index = 0; index < blocks; ++index) {
      const int64_t first = shape.rows * index / blocks;
      const int64_t count = shape.rows * (index + 1) / blocks - first;
      const int64_t columns =
          shape.columns - column < kPanelColumns ? shape.columns - column : kPanelColumns;
      const ProductBlock block{first, count, column, columns,
                               column / columns_per_output(finish.activation)};
      fetch_outputs(finish, block);
      sum_block<Steps, kMaxRows, 2>(
          left, first * kLeftRows, count * kLeftRows, panel, shape.units, kZeros,
          [&](int64_t tile, int64_t unit, int64_t) {
            return ahead_of(panel, next, shape.units, index * (kBlockRows / kMaxRows) + tile, tiles,
                            unit);
          },
          sums);
      to_floats(block, sums);
      finish_rows(finish, block, sums);
    }
  }
}

}  // namespace
}  // namespace softmoe::kernels
