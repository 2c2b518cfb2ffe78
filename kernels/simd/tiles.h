#pragma once
/// The sums of a few rows of a product and one panel of its right factor, held in registers.
/// Internal linkage, as vector.h.

#include <array>
#include <utility>

#include "kernels/simd/steps.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

/// Rows whose sums are in registers at once, beside what is made of one unit of the factors.
template <typename Steps>
inline constexpr int kMaxRows =
    (sizeof(Steps::left(Ints{})) > sizeof(Ints) ? kFewSumVectors : kSumVectors) / kPanelVectors;

/// With few rows to a tile, a panel is read so often that it has to come from the first-level
/// cache: a part of its depth is multiplied by a block of rows before the next part is taken.
inline constexpr bool kBlocksDepth = kPanelVectors > 2;
/// Units of such a part.
inline constexpr int64_t kDepthBlock = kBlocksDepth ? 128 : int64_t{1} << 40;
/// Tiles of such a block, an even number.
inline constexpr int64_t kBlockTiles = kBlocksDepth ? 32 : 1;
template <typename Steps>
inline constexpr int64_t kBlockRows = kBlockTiles* kMaxRows<Steps>;

/// Memory that a tile fetches into the second-level cache on the way: kLines lines per unit, which
/// lie `step` bytes apart from unit to unit and half of that within one.
struct Ahead {
  const char* data = nullptr;
  int64_t step = 0;
};

template <typename Steps, int kPhase, int kRows>
[[gnu::always_inline]] inline void add_phase(typename Steps::Sum (&sums)[kRows][kPanelVectors],
                                             int vector,
                                             const decltype(Steps::left(Ints{})) (&left)[kRows],
                                             const decltype(Steps::right(Ints{}))& right) {
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
    sums[row][vector] = Steps::template step<kPhase>(sums[row][vector], left[row], right);
  }
}

/// Adds the products of one unit of kRows rows and of a panel.
template <typename Steps, int kRows>
[[gnu::always_inline]] inline void add_unit(typename Steps::Sum (&sums)[kRows][kPanelVectors],
                                            const Unit* left, int64_t row_stride,
                                            const Unit* panel) {
  const auto left_of = [&](int row) {
    // Copied as bytes: the memory may hold bf16, which must not be read as integers.
    int32_t bits = 0;
    __builtin_memcpy(&bits, left + row * row_stride, sizeof(bits));
    return Steps::left(set1_ints(bits));
  };
  const auto right_of = [&](int vector) {
    return Steps::right(load_ints(panel + vector * kLanes));
  };
  if constexpr (kPanelVectors <= 2) {
    // Many rows: the panel's vectors stay in registers.
    decltype(Steps::right(Ints{})) right[kPanelVectors];
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      right[vector] = right_of(vector);
    }
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const auto value = left_of(row);
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors; ++vector) {
        sums[row][vector] = Steps::template step<0>(sums[row][vector], value, right[vector]);
      }
      if constexpr (Steps::kPhases == 2) {
#pragma GCC unroll 8
        for (int vector = 0; vector < kPanelVectors; ++vector) {
          sums[row][vector] = Steps::template step<1>(sums[row][vector], value, right[vector]);
        }
      }
    }
  } else {
    // Many vectors: the rows' values do.
    decltype(Steps::left(Ints{})) value[kRows];
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      value[row] = left_of(row);
    }
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      const auto right = right_of(vector);
      add_phase<Steps, 0>(sums, vector, value, right);
      if constexpr (Steps::kPhases == 2) {
        add_phase<Steps, 1>(sums, vector, value, right);
      }
    }
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
  const int64_t row_stride = left.row_stride;
  const int64_t unit_stride = left.unit_stride;
  const Unit* at = left.data + first_row * row_stride;
  const char* line = ahead.data;
  for (int64_t unit = 0; unit < units; ++unit) {
    if constexpr (kLines > 0) {
      fetch_line_far(line);
      if constexpr (kLines > 1) {
        fetch_line_far(line + ahead.step / 2);
      }
      line += ahead.step;
    }
    add_unit<Steps, kRows>(sums, at, row_stride, panel);
    at += unit_stride;
    panel += kPanelColumns;
  }
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

template <typename Steps, int kLines, size_t... kIndices>
constexpr std::array<SumRows, sizeof...(kIndices)> sum_rows_table(
    std::index_sequence<kIndices...>) {
  return {sum_rows<Steps, static_cast<int>(kIndices) + 1, kLines>...};
}
/// sum_rows() for each number of rows up to kRows, less one.
template <typename Steps, int kRows, int kLines>
inline constexpr auto kSumRows = sum_rows_table<Steps, kLines>(std::make_index_sequence<kRows>());

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

/// Sums of rows [first, first + count) of the whole depth, [count, 32], in tiles of up to kRows
/// rows. Every row starts from `start` [32], or from zero if that is null; ahead_of(tile, first
/// unit, units) is what a tile fetches.
template <typename Steps, int kRows, int kLines, typename AheadOf>
inline void sum_block(const LeftUnits& left, int64_t first, int64_t count, const Unit* panel,
                      int64_t units, const float* start, const AheadOf& ahead_of, float* sums) {
  const int64_t tiles = (count + kRows - 1) / kRows;
  int64_t unit = 0;
  do {
    const int64_t depth = units - unit < kDepthBlock ? units - unit : kDepthBlock;
    const LeftUnits part{left.data + unit * left.unit_stride, left.row_stride, left.unit_stride};
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t row = count * tile / tiles;
      const auto rows = static_cast<size_t>(count * (tile + 1) / tiles - row);
      if (kBlocksDepth && tile + 1 < tiles) {
        fetch_rows(part, first + row + static_cast<int64_t>(rows), kRows, depth);
      }
      float* const out = sums + row * kPanelColumns;
      kSumRows<Steps, kRows, kLines>[rows - 1](
          part, first + row, panel + unit * kPanelColumns, depth, unit == 0 ? start : out,
          unit == 0 ? 0 : kPanelColumns, ahead_of(tile, unit, depth), out);
    }
    unit += depth;
  } while (unit < units);
}

}  // namespace
}  // namespace softmoe::kernels
