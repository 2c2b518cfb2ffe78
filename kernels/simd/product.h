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
  // Copies that no store can change.
  const int64_t columns = block.columns;
  const Target out = finish.out.offset(block.first * finish.out_stride + block.out_column);
  const int64_t out_stride = finish.out_stride;
  const float* const factors =
      finish.row_factors != nullptr ? finish.row_factors + block.first : nullptr;
  Floats bias[kPanelVectors];
  for (int vector = 0; vector < kPanelVectors; ++vector) {
    const int64_t column = vector * kLanes;
    bias[vector] = finish.bias != nullptr
                       ? load(lanes(column, block.columns), finish.bias + block.column + column)
                       : zero();
  }
  for (int64_t row = 0, count = block.count; row < count; ++row) {
    const Floats factor = set1(factors != nullptr ? factors[row] : 1.0F);
    const auto value = [&](int vector) {
      return fmadd(load(sums + row * kPanelColumns + vector * kLanes), factor, bias[vector]);
    };
    const int64_t at = row * out_stride;
    if constexpr (kGated) {
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors / 2; ++vector) {
        store(out, at + vector * kLanes,
              mul(silu<!kBf16>(value(vector)), value(vector + kPanelVectors / 2)));
      }
    } else if constexpr (kBf16) {
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors; vector += 2) {
        store_bf16(out.bf16 + at + vector * kLanes, pair_lanes(vector * kLanes, columns),
                   activate<kActivation, false>(value(vector)),
                   activate<kActivation, false>(value(vector + 1)));
      }
    } else {
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors; ++vector) {
        const Floats result = activate<kActivation, true>(value(vector));
        const Mask mask = lanes(vector * kLanes, columns);
        float* const target = out.fp32 + at + vector * kLanes;
        store(target, mask, kAccumulate ? add(result, load(mask, target)) : result);
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

/// True if the sums themselves are the output.
inline bool is_plain(const ProductFinish& finish) {
  return finish.out.fp32 != nullptr && finish.bias == nullptr && finish.row_factors == nullptr &&
         finish.activation == Activation::kNone && !finish.accumulate &&
         finish.integers.row_scales == nullptr;
}

/// Asks for the outputs of a block, which are far apart and needed after its sums.
inline void fetch_outputs(const ProductFinish& finish, const ProductBlock& block) {
  for (int64_t row = 0; row < block.count; ++row) {
    fetch(finish.out, (block.first + row) * finish.out_stride + block.out_column);
  }
}

/// What tile `tile` of `tiles` fetches of the panel to come from unit `unit` on. By vectors, one
/// tile takes both cache lines of each unit; of more, the first two take half of the panel each. By
/// matrix registers, which are faster, all tiles take equal parts, whole lines in 16 units.
template <typename Steps>
inline Ahead ahead_of(const Unit* panel, const Unit* next, int64_t panel_units, int64_t tile,
                      int64_t tiles, int64_t unit) {
  if (next == nullptr || (!Steps::kMatrices && tile >= 2)) {
    return {reinterpret_cast<const char*>(panel), 0};
  }
  const auto* const data = reinterpret_cast<const char*>(next);
  if constexpr (Steps::kMatrices) {
    const int64_t step = round_up((128 + tiles - 1) / tiles, 4);
    return {data + (tile * panel_units + unit) * step, step};
  }
  return tiles == 1 ? Ahead{data + unit * 128, 128}
                    : Ahead{data + (tile * panel_units + unit) * 64, 64};
}

/// The whole product. Every row of the output is kLeftRows rows of the left factor; `to_floats`
/// makes fp32 of a block's sums in place.
template <typename Steps, int64_t kLeftRows, typename ToFloats>
inline void product_of(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                       const ProductFinish& finish, const ToFloats& to_floats) {
  constexpr int kVectorRows = kMaxRows<Steps>;
  constexpr int64_t kTile = kTileOfBlock<Steps, kVectorRows>;
  const typename Steps::Registers registers(shape.rows * kLeftRows);
#ifdef SOFTMOE_MATRIX_PRODUCTS
  if constexpr (kLeftRows == 1 && Steps::kMatrices) {
    if (is_plain(finish) && left.unit_stride == 1 && shape.units <= kMaxPartUnits &&
        shape.columns % kPanelColumns == 0) {
      for (int64_t column = 0; column < shape.columns; column += kPanelColumns) {
        multiply_panel<Steps::kPrecision>(left, shape.rows,
                                          right.data + column / kPanelColumns * right.panel_stride,
                                          shape.units, finish.out.fp32 + column, finish.out_stride);
      }
      return;
    }
  }
#endif
  const FinishBlock finish_rows = finish_of(finish);
  const RowBlocks<Steps, kVectorRows, kLeftRows> blocks(shape.rows);
  const int64_t tiles = (shape.rows * kLeftRows + kTile - 1) / kTile;
  alignas(64) float sums[kBlockRows<Steps, kVectorRows> * kPanelColumns];
  for (int64_t column = 0; column < shape.columns; column += kPanelColumns) {
    const Unit* const panel = right.data + column / kPanelColumns * right.panel_stride;
    const Unit* const next =
        column + kPanelColumns < shape.columns ? panel + right.panel_stride : right.next;
    int64_t past_tiles = 0;
    for (int64_t index = 0; index < blocks.count(); ++index) {
      const int64_t first = blocks.first(index);
      const int64_t count = blocks.first(index + 1) - first;
      const int64_t columns =
          shape.columns - column < kPanelColumns ? shape.columns - column : kPanelColumns;
      const ProductBlock block{first, count, column, columns,
                               column / columns_per_output(finish.activation)};
      fetch_outputs(finish, block);
      sum_block<Steps, kVectorRows, 2>(
          left, first * kLeftRows, count * kLeftRows, panel, shape.units, /*start=*/nullptr,
          [&](int64_t tile, int64_t unit, int64_t) {
            return ahead_of<Steps>(panel, next, shape.units, past_tiles + tile, tiles, unit);
          },
          sums);
      past_tiles += (count * kLeftRows + kTile - 1) / kTile;
      to_floats(block, sums);
      finish_rows(finish, block, sums);
    }
  }
}

}  // namespace
}  // namespace softmoe::kernels
