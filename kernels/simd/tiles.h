#pragma once
/// The sums of a few rows of a product and one panel of its right factor, held in registers.
/// Internal linkage, as vector.h.

#include <array>
#include <utility>

#include "kernels/simd/steps.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

/// Rows whose sums are in registers at once.
inline constexpr int kMaxRows = kSumVectors / kPanelVectors;

/// Units of the depth that a panel is multiplied by at a time: with few rows to a tile, a panel is
/// read so often that it has to come from the first-level cache.
inline constexpr int64_t kDepthBlock = kMaxRows >= 8 ? int64_t{1} << 40 : 128;

/// Rows that go through a part of the depth before the next part is taken: an even number of tiles.
inline constexpr int64_t kBlockRows = kMaxRows >= 8 ? kMaxRows : 32 * kMaxRows;

/// Memory that a tile fetches into the second-level cache on the way: kLines lines per unit, which
/// lie `step` bytes apart from unit to unit and half of that within one.
struct Ahead {
  const char* data = nullptr;
  int64_t step = 0;
};

template <typename Steps, int kPhase, int kRows>
inline void add_unit(typename Steps::Sum (&sums)[kRows][kPanelVectors], const Unit* left,
                     int64_t row_stride, const Unit* panel) {
  const auto left_of = [&](int row) {
    // Copied as bytes: the memory may hold bf16, which must not be read as integers.
    int32_t bits = 0;
    __builtin_memcpy(&bits, left + row * row_stride, sizeof(bits));
    return Steps::template left<kPhase>(set1_ints(bits));
  };
  const auto right_of = [&](int vector) {
    return Steps::template right<kPhase>(load_ints(panel + vector * kLanes));
  };
  if constexpr (kPanelVectors <= 2) {
    // Many rows: the panel's vectors stay in registers.
    Ints right[kPanelVectors];
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      right[vector] = right_of(vector);
    }
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const Ints value = left_of(row);
#pragma GCC unroll 8
      for (int vector = 0; vector < kPanelVectors; ++vector) {
        sums[row][vector] = Steps::step(sums[row][vector], value, right[vector]);
      }
    }
  } else {
    // Many vectors: the rows' values do.
    Ints value[kRows];
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      value[row] = left_of(row);
    }
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      const Ints right = right_of(vector);
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) {
        sums[row][vector] = Steps::step(sums[row][vector], value[row], right);
      }
    }
  }
}

/// Adds kRows rows of `left` times `units` units of a panel to `start`, rows `start_stride` apart,
/// and writes the sums [kRows, 32]. A function of its own: beside the code that follows a product
/// the compiler would not keep all sums in registers.
template <typename Steps, int kRows, int kLines>
__attribute__((noinline)) void sum_rows(const LeftUnits& left, int64_t first_row, const Unit* panel,
                                        int64_t units, const float* start, int64_t start_stride,
                                        const Ahead& ahead, float* out) {
  using Sum = typename Steps::Sum;
  Sum sums[kRows][kPanelVectors];
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kPanelVectors; ++vector) {
      __builtin_memcpy(&sums[row][vector], start + row * start_stride + vector * kLanes,
                       sizeof(Sum));
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
    add_unit<Steps, 0, kRows>(sums, at, row_stride, panel);
    if constexpr (Steps::kPhases == 2) {
      add_unit<Steps, 1, kRows>(sums, at, row_stride, panel);
    }
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
                         const Ahead&, float*);

template <typename Steps, int kLines, size_t... kIndices>
constexpr std::array<SumRows, sizeof...(kIndices)> sum_rows_table(
    std::index_sequence<kIndices...>) {
  return {sum_rows<Steps, static_cast<int>(kIndices) + 1, kLines>...};
}
/// sum_rows() for each number of rows up to kRows, less one.
template <typename Steps, int kRows, int kLines>
inline constexpr auto kSumRows = sum_rows_table<Steps, kLines>(std::make_index_sequence<kRows>());

/// Sums of rows [first, first + count) of the whole depth, [count, 32], in tiles of up to kRows
/// rows. Every row starts from `start` [32]; ahead_of(tile, first unit, units) is what a tile
/// fetches.
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
