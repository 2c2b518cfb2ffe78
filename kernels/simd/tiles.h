#pragma once
/// The sums of a few rows of a product and one panel of its right factor, held in registers.
/// Internal linkage, as vector.h.

#include <utility>

#include "kernels/simd/steps.h"
#include "kernels/simd/sum_parts.h"
#include "kernels/simd/vector.h"
#ifdef SOFTMOE_MATRIX_PRODUCTS
#include "kernels/simd/matrix_sums.h"
#endif

namespace softmoe::kernels {
namespace {

/// True if the values of a row or the vectors of a panel take two registers each, which leaves room
/// for fewer sums.
template <typename Steps>
inline constexpr bool kHasLargeFactors = sizeof(Steps::template left<0>(Ints{})) > sizeof(Ints) ||
                                         (kPanelVectors <= 2 && Steps::kPhases == 2);
/// Rows whose sums are in registers at once, beside what is made of one unit of the factors.
template <typename Steps>
inline constexpr int kMaxRows =
    (kHasLargeFactors<Steps> ? kFewSumVectors : kSumVectors) / kPanelVectors;

/// With few rows to a tile, a panel is read so often that it has to come from the first-level
/// cache: a part of its depth is multiplied by a block of rows before the next part is taken.
inline constexpr bool kBlocksDepth = kPanelVectors > 2;
/// Units of such a part.
inline constexpr int64_t kDepthBlock = kBlocksDepth ? 128 : int64_t{1} << 40;
/// Tiles of such a block, an even number.
inline constexpr int64_t kBlockTiles = kBlocksDepth ? 32 : 1;

/// One unit of a row.
[[gnu::always_inline]] inline Ints left_unit(const Unit* at) {
  // Copied as bytes: the memory may hold bf16, which must not be read as integers.
  int32_t bits = 0;
  __builtin_memcpy(&bits, at, sizeof(bits));
  return set1_ints(bits);
}

/// Adds the products of one unit of kRows rows and of a panel whose vectors stay in registers.
template <typename Steps, int kRows>
[[gnu::always_inline]] inline void add_rows(typename Steps::Sum (&sums)[kRows][kPanelVectors],
                                            const Unit* left, int64_t row_stride,
                                            const Unit* panel) {
  using Right = decltype(Steps::template right<0>(Ints{}));
  Right right[kPanelVectors];
  Right second[kPanelVectors];
#pragma GCC unroll 8
  for (int vector = 0; vector < kPanelVectors; ++vector) {
    const Ints unit = load_ints(panel + vector * kLanes);
    right[vector] = Steps::template right<0>(unit);
    second[vector] = Steps::template right<Steps::kPhases - 1>(unit);
  }
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
    const Ints unit = left_unit(left + row * row_stride);
    const auto value = Steps::template left<0>(unit);
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      sums[row][vector] = Steps::step(sums[row][vector], value, right[vector]);
    }
    if constexpr (Steps::kPhases == 2) {
      const auto second_value = Steps::template left<1>(unit);
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors; ++vector) {
        sums[row][vector] = Steps::step(sums[row][vector], second_value, second[vector]);
      }
    }
  }
}

/// Adds the products of one phase of one unit of kRows rows, whose values stay in registers, and of
/// a panel.
template <typename Steps, int kPhase, int kRows>
[[gnu::always_inline]] inline void add_vectors(typename Steps::Sum (&sums)[kRows][kPanelVectors],
                                               const Unit* const (&left)[kRows], int64_t at,
                                               const Unit* panel) {
  decltype(Steps::template left<kPhase>(Ints{})) value[kRows];
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
    value[row] = Steps::template left<kPhase>(left_unit(left[row] + at));
  }
#pragma GCC unroll 8
  for (int vector = 0; vector < kPanelVectors; ++vector) {
    const auto right = Steps::template right<kPhase>(load_ints(panel + vector * kLanes));
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      sums[row][vector] = Steps::step(sums[row][vector], value[row], right);
    }
  }
}

/// Adds the products of `units` units of kRows rows from `first_row` on and of a panel, and fetches
/// kLines lines of `ahead` per unit.
template <typename Steps, int kRows, int kLines>
[[gnu::always_inline]] inline void add_units(typename Steps::Sum (&sums)[kRows][kPanelVectors],
                                             const LeftUnits& left, int64_t first_row,
                                             const Unit* panel, int64_t units, Ahead ahead) {
  const int64_t row_stride = left.row_stride;
  const int64_t unit_stride = left.unit_stride;
  const Unit* rows[kRows];
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
    rows[row] = row_of(left, first_row + row);
  }
  int64_t at = 0;
#pragma GCC unroll 2
  for (int64_t unit = 0; unit < units; ++unit) {
    if constexpr (kLines > 0) {
      fetch_ahead<kLines>(ahead);
    }
    if constexpr (kPanelVectors <= 2) {
      add_rows<Steps, kRows>(sums, rows[0] + at, row_stride, panel);
    } else {
      add_vectors<Steps, 0, kRows>(sums, rows, at, panel);
      if constexpr (Steps::kPhases == 2) {
        add_vectors<Steps, 1, kRows>(sums, rows, at, panel);
      }
    }
    at += unit_stride;
    panel += kPanelColumns;
  }
}

/// Adds kRows rows of `left` times `units` units of a panel to `start`, rows `start_stride` apart,
/// or to zero if that is null, and writes the sums [kRows, 32]. A function of its own: beside the
/// code that follows a product the compiler would not keep all sums in registers.
template <typename Steps, int kRows, int kLines>
__attribute__((noinline)) void sum_rows(const LeftUnits& left, int64_t first_row, const Unit* panel,
                                        int64_t units, const float* start, int64_t start_stride,
                                        Ahead ahead, float* out) {
  using Sum = typename Steps::Sum;
  Sum sums[kRows][kPanelVectors];
  if (start == nullptr) {
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors; ++vector) {
        sums[row][vector] = Steps::zero_sum();
      }
    }
  } else {
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors; ++vector) {
        __builtin_memcpy(&sums[row][vector], start + row * start_stride + vector * kLanes,
                         sizeof(Sum));
      }
    }
  }
  add_units<Steps, kRows, kLines>(sums, left, first_row, panel, units, ahead);
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      __builtin_memcpy(out + row * kPanelColumns + vector * kLanes, &sums[row][vector],
                       sizeof(Sum));
    }
  }
}

using SumRows = void (*)(const LeftUnits&, int64_t, const Unit*, int64_t, const float*, int64_t,
                         Ahead, float*);

template <typename Steps, int kLines, typename Indices>
struct SumRowsTable;
/// sum_rows() for each number of rows, less one.
template <typename Steps, int kLines, size_t... kIndices>
struct SumRowsTable<Steps, kLines, std::index_sequence<kIndices...>> {
  static constexpr SumRows kRuns[] = {sum_rows<Steps, static_cast<int>(kIndices) + 1, kLines>...};
};
template <typename Steps, int kRows, int kLines>
using SumRowsUpTo = SumRowsTable<Steps, kLines, std::make_index_sequence<kRows>>;

/// sum_rows() for a number of rows that is known at run time alone, up to kRows.
template <typename Steps, int kRows, int kLines>
[[gnu::always_inline]] inline void sum_tile(const LeftUnits& left, int64_t first, int64_t rows,
                                            const Unit* panel, int64_t units, const float* start,
                                            int64_t start_stride, Ahead ahead, float* out) {
  SumRows run = SumRowsUpTo<Steps, kRows, kLines>::kRuns[rows - 1];
  if constexpr (kBlocksDepth) {
    if (ahead.step == 0) {  // as for most of many tiles
      run = SumRowsUpTo<Steps, kRows, 0>::kRuns[rows - 1];
    }
  }
  run(left, first, panel, units, start, start_stride, ahead, out);
}

/// Asks for `count` rows of the left factor from `first` on: so few units of a row are wanted that
/// the processor would not foresee the next row.
[[gnu::always_inline]] inline void fetch_rows(const LeftUnits& left, int64_t first, int64_t count,
                                              int64_t units) {
  constexpr int64_t kLine = 16;  // units
  if (left.unit_stride != 1) {
    return;
  }
  for (int64_t row = first; row < first + count; ++row) {
    for (int64_t unit = 0; unit < units; unit += kLine) {
      fetch_line(left.data + row * left.row_stride + unit);
    }
  }
}

/// Units of bf16 pairs that are made fp32 at a time.
inline constexpr int64_t kWidenedUnits = kDepthBlock / 2;
/// Tiles of a block from which on that pays.
inline constexpr int64_t kWidenedTiles = 4;

/// Both values of every unit of a panel: [2 units, 32].
inline void widen_panel(const Unit* panel, int64_t units, float* out) {
  for (int64_t unit = 0; unit < units; ++unit) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      const Ints pairs = load_ints(panel + unit * kPanelColumns + vector * kLanes);
      float* const at = out + 2 * unit * kPanelColumns + vector * kLanes;
      store(at, low_bf16(pairs));
      store(at + kPanelColumns, high_bf16(pairs));
    }
  }
}

/// Both values of every unit of `rows` rows, 2 kWidenedUnits apart in `out`.
inline void widen_rows(const LeftUnits& left, int64_t first, int64_t rows, int64_t units,
                       float* out) {
  for (int64_t row = 0; row < rows; ++row) {
    const auto* const words =
        reinterpret_cast<const Bf16*>(left.data + (first + row) * left.row_stride);
    for (int64_t at = 0; at < 2 * units; at += kLanes) {
      store(out + row * 2 * kWidenedUnits + at, load_bf16(lanes(at, 2 * units), words + at));
    }
  }
}

/// sum_block() by vectors, in tiles of up to kRows rows.
template <typename Steps, int kRows, int kLines, typename AheadOf>
inline void sum_vectors(const LeftUnits& left, int64_t first, int64_t count, const Unit* panel,
                        int64_t units, const float* start, const AheadOf& ahead_of, float* sums) {
  constexpr bool kMayWiden = Steps::kWidens && kBlocksDepth;
  const int64_t tiles = (count + kRows - 1) / kRows;
  const bool widens = kMayWiden && left.unit_stride == 1 && tiles >= kWidenedTiles;
  const int64_t depth_block = widens ? kWidenedUnits : kDepthBlock;
  // [2 units, 32] and [rows, 2 units] in fp32.
  alignas(64) float columns[kMayWiden ? 2 * kWidenedUnits * kPanelColumns : 1];
  alignas(64) float values[kMayWiden ? 2 * kWidenedUnits * kRows : 1];
  int64_t unit = 0;
  do {
    const int64_t depth = units - unit < depth_block ? units - unit : depth_block;
    const LeftUnits part = units_from(left, unit);
    const Unit* const panel_part = panel + unit * kPanelColumns;
    if (widens) {
      widen_panel(panel_part, depth, columns);
    }
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t row = count * tile / tiles;
      const int64_t rows = count * (tile + 1) / tiles - row;
      if (kBlocksDepth && tile + 1 < tiles) {
        fetch_rows(part, first + row + rows, kRows, depth);
      }
      float* const out = sums + row * kPanelColumns;
      const float* const from = unit == 0 ? start : out;
      const int64_t from_stride = unit == 0 ? 0 : kPanelColumns;
      const Ahead ahead = ahead_of(tile, unit, depth);
      if constexpr (kMayWiden) {
        if (widens) {
          widen_rows(part, first + row, rows, depth, values);
          sum_tile<Fp32Steps, kRows, kLines>(
              {reinterpret_cast<const Unit*>(values), 2 * kWidenedUnits}, 0, rows,
              reinterpret_cast<const Unit*>(columns), 2 * depth, from, from_stride, ahead, out);
          continue;
        }
      }
      sum_tile<Steps, kRows, kLines>(part, first + row, rows, panel_part, depth, from, from_stride,
                                     ahead, out);
    }
    unit += depth;
  } while (unit < units);
}

/// Rows of a block: those that a panel, or a part of its depth, is multiplied by at a time.
template <typename Steps, int kRows>
inline constexpr int64_t kBlockRows = Steps::kMatrices ? 128 : kBlockTiles* kRows;
/// Rows of a tile of a block.
template <typename Steps, int kRows>
inline constexpr int64_t kTileOfBlock = Steps::kMatrices ? 32 : kRows;

/// `rows` rows, each of them kLeftRows of the left factor, in even blocks of up to kBlockRows of
/// these.
template <typename Steps, int kRows, int64_t kLeftRows = 1>
class RowBlocks {
 public:
  explicit RowBlocks(int64_t rows) : rows_(rows), count_((rows + kEven - 1) / kEven) {}
  int64_t count() const { return count_; }
  /// The first row of block `index`, or the end of the last one.
  int64_t first(int64_t index) const {
    const int64_t row = rows_ * index / count_;
    return index < count_ ? row - row % kMultiple : rows_;
  }

 private:
  /// Blocks begin with multiples of it.
  static constexpr int64_t kMultiple = Steps::kMatrices ? 16 : 1;
  static constexpr int64_t kEven = kBlockRows<Steps, kRows> / kLeftRows - kMultiple + 1;
  int64_t rows_;
  int64_t count_;
};

/// Sums of rows [first, first + count) of the whole depth, [count, 32], in tiles of up to kRows
/// rows. Every row starts from `start` [32], or from zero if that is null; ahead_of(tile, first
/// unit, units) is what a tile fetches. `sums` has room for kBlockRows rows.
template <typename Steps, int kRows, int kLines, typename AheadOf>
inline void sum_block(const LeftUnits& left, int64_t first, int64_t count, const Unit* panel,
                      int64_t units, const float* start, const AheadOf& ahead_of, float* sums) {
#ifdef SOFTMOE_MATRIX_PRODUCTS
  if constexpr (Steps::kMatrices) {
    // They load rows of units that follow one another.
    if (left.unit_stride == 1) {
      sum_matrices<Steps, kLines>(left, first, count, panel, units, start, ahead_of, sums);
      return;
    }
  }
#endif
  sum_vectors<Steps, kRows, kLines>(left, first, count, panel, units, start, ahead_of, sums);
}

}  // namespace
}  // namespace softmoe::kernels
