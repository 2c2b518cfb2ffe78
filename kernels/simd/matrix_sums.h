#pragma once
/// The sums of a block of rows of a product and one panel of its right factor by matrix registers:
/// 0 to 3 hold the sums of 32 rows and 32 columns, 4 and 5 the left factor, 6 and 7 the right one.
/// Internal linkage, as vector.h.

#include "kernels/simd/steps.h"
#include "kernels/simd/sum_parts.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

/// Rows whose sums are in registers at once.
inline constexpr int64_t kPairRows = 2 * kMatrixRows;
/// Units of a panel that are multiplied by a block of rows before the next ones are, so that they
/// come from the first-level cache.
inline constexpr int64_t kMaxPartUnits = 16 * kMatrixUnits;

/// Where the 16 rows of a register and those of a second one begin.
struct MatrixPair {
  const Unit* low;
  const Unit* high;
  int64_t stride;  ///< of the rows, in units
};

/// Where the sums of 16 rows and 32 columns and those of 16 other rows go.
struct MatrixOutputs {
  float* low;
  float* high;
  int64_t stride;  ///< of the rows, in floats
};

/// Adds the products of one register's depth; `right` is a part of a panel.
template <Precision kPrecision, bool kPair>
inline void multiply_step(const Unit* low, const Unit* high, int64_t left_stride,
                          const Unit* right) {
  load_matrix<4>(low, left_stride);
  load_matrix<6>(right, kPanelColumns);
  multiply_matrices<kPrecision, 0, 4, 6>();
  load_matrix<7>(right + kMatrixUnits, kPanelColumns);
  multiply_matrices<kPrecision, 1, 4, 7>();
  if constexpr (kPair) {
    load_matrix<5>(high, left_stride);
    multiply_matrices<kPrecision, 2, 5, 6>();
    multiply_matrices<kPrecision, 3, 5, 7>();
  }
}

/// A factor's rows of `units` units, zeros up to a whole register.
inline void copy_rest(const Unit* rows, int64_t stride, int64_t count, int64_t units, Unit* out) {
  const Mask mask = lanes(0, units);
  for (int64_t row = 0; row < kMatrixRows; ++row) {
    store_ints(out + row * kMatrixUnits,
               row < count ? load_ints(mask, rows + row * stride) : zero_ints());
  }
}

/// multiply_step() of the last `units` units, which do not fill a register. `rows` rows of the left
/// factor exist.
template <Precision kPrecision, bool kPair>
__attribute__((noinline)) void multiply_rest(const MatrixPair& left, int64_t rows,
                                             const Unit* right, int64_t units) {
  alignas(64) Unit low[kMatrixRows * kMatrixUnits];
  alignas(64) Unit high[kMatrixRows * kMatrixUnits];
  alignas(64) Unit panel[kMatrixUnits * kPanelColumns] = {};
  copy_rest(left.low, left.stride, rows, units, low);
  if constexpr (kPair) {
    copy_rest(left.high, left.stride, rows, units, high);
  }
  __builtin_memcpy(panel, right, static_cast<size_t>(units * kPanelColumns) * sizeof(Unit));
  multiply_step<kPrecision, kPair>(low, high, kMatrixUnits, panel);
}

/// Fetches 16 rows of the step to come into the first-level cache: lines so far apart are not
/// foreseen by the processor.
inline void fetch_rows_of_step(const Unit* rows, int64_t stride) {
#pragma GCC unroll 16
  for (int64_t row = 0; row < kMatrixRows; ++row) {
    fetch_line(rows + row * stride);
  }
}

/// Fetches what belongs to the units of one step. Two lines per unit lie in one stretch.
template <int kLines>
inline void fetch_step(Ahead& ahead) {
  if constexpr (kLines == 1) {
#pragma GCC unroll 16
    for (int64_t unit = 0; unit < kMatrixUnits; ++unit) {
      fetch_ahead<1>(ahead);
    }
  } else if constexpr (kLines == 2) {
    const char* const end = ahead.data + ahead.step * kMatrixUnits;
    for (; ahead.data < end; ahead.data += 64) {
      fetch_line_far(ahead.data);
    }
  }
}

/// Adds up to 32 rows times `units` units of a panel to `start`, rows `start_stride` floats apart,
/// or to zero if that is null, and writes the sums of both registers' rows.
template <Precision kPrecision, bool kPair, int kLines>
inline void sum_pair(const MatrixPair& left, int64_t rows, const Unit* panel, int64_t units,
                     const float* start, int64_t start_stride, Ahead ahead,
                     const MatrixOutputs& out) {
  if (start == nullptr) {
    zero_matrix<0>();
    zero_matrix<1>();
    if constexpr (kPair) {
      zero_matrix<2>();
      zero_matrix<3>();
    }
  } else {
    load_matrix<0>(start, start_stride);
    load_matrix<1>(start + kMatrixUnits, start_stride);
    if constexpr (kPair) {
      load_matrix<2>(start + kMatrixRows * start_stride, start_stride);
      load_matrix<3>(start + kMatrixRows * start_stride + kMatrixUnits, start_stride);
    }
  }
  int64_t unit = 0;
  for (; unit + kMatrixUnits <= units; unit += kMatrixUnits) {
    multiply_step<kPrecision, kPair>(left.low + unit, left.high + unit, left.stride,
                                     panel + unit * kPanelColumns);
    fetch_rows_of_step(left.low + unit + kMatrixUnits, left.stride);
    if constexpr (kPair) {
      fetch_rows_of_step(left.high + unit + kMatrixUnits, left.stride);
    }
    fetch_step<kLines>(ahead);
  }
  if (unit < units) {
    multiply_rest<kPrecision, kPair>({left.low + unit, left.high + unit, left.stride}, rows,
                                     panel + unit * kPanelColumns, units - unit);
  }
  store_matrix<0>(out.low, out.stride);
  store_matrix<1>(out.low + kMatrixUnits, out.stride);
  if constexpr (kPair) {
    store_matrix<2>(out.high, out.stride);
    store_matrix<3>(out.high + kMatrixUnits, out.stride);
  }
}

/// Calls function(row, low, high, is_pair) for every two registers of `count` rows: `low` is the
/// first row of the register for the rows from `row` on, `high` that of the next one, if it is a
/// pair. Registers are of whole rows: the last one begins where it ends with the last row.
template <typename Function>
inline void for_each_pair(int64_t count, const Function& function) {
  const auto first_of = [count](int64_t row) {
    return row + kMatrixRows <= count ? row : count > kMatrixRows ? count - kMatrixRows : 0;
  };
  for (int64_t row = 0; row < count; row += kPairRows) {
    const bool is_pair = row + kMatrixRows < count;
    function(row, first_of(row), first_of(is_pair ? row + kMatrixRows : row), is_pair);
  }
}

/// Sums of rows [first, first + count) as sum_block(). Registers were set up for `count` rows if
/// these are fewer than 16. `sums` has room for a multiple of 16 rows.
template <typename Steps, int kLines, typename AheadOf>
inline void sum_matrices(const LeftUnits& left, int64_t first, int64_t count, const Unit* panel,
                         int64_t units, const float* start, const AheadOf& ahead_of, float* sums) {
  constexpr Precision kPrecision = Steps::kPrecision;
  const int64_t parts = (units + kMaxPartUnits - 1) / kMaxPartUnits;
  const int64_t part_units = round_up((units + parts - 1) / parts, kMatrixUnits);
  const int64_t rows = count < kMatrixRows ? count : kMatrixRows;
  for (int64_t unit = 0; unit < units; unit += part_units) {
    const int64_t depth = units - unit < part_units ? units - unit : part_units;
    const Unit* const panel_part = panel + unit * kPanelColumns;
    for_each_pair(count, [&](int64_t row, int64_t low, int64_t high, bool is_pair) {
      float* const out = sums + row * kPanelColumns;
      const float* const from = unit == 0 ? start : out;
      const int64_t from_stride = unit == 0 ? 0 : kPanelColumns;
      const Ahead ahead = ahead_of(row / kPairRows, unit, depth);
      const MatrixPair pair{row_of(left, first + low) + unit, row_of(left, first + high) + unit,
                            left.row_stride};
      const auto sum =
          is_pair ? sum_pair<kPrecision, true, kLines> : sum_pair<kPrecision, false, kLines>;
      sum(pair, rows, panel_part, depth, from, from_stride, ahead,
          {out, out + kMatrixRows * kPanelColumns, kPanelColumns});
    });
  }
  // The sums of the last register are moved to their place.
  const int64_t own = count % kMatrixRows;
  if (own != 0 && count > kMatrixRows) {
    float* const last = sums + (count - own) * kPanelColumns;
    __builtin_memmove(last, last + (kMatrixRows - own) * kPanelColumns,
                      static_cast<size_t>(own * kPanelColumns) * sizeof(float));
  }
}

/// The product of all rows and one panel without anything that follows it: `out` has 32 columns and
/// rows `out_stride` apart. `units` is at most kMaxPartUnits.
template <Precision kPrecision>
inline void multiply_panel(const LeftUnits& left, int64_t count, const Unit* panel, int64_t units,
                           float* out, int64_t out_stride) {
  const int64_t rows = count < kMatrixRows ? count : kMatrixRows;
  for_each_pair(count, [&](int64_t, int64_t low, int64_t high, bool is_pair) {
    const auto sum = is_pair ? sum_pair<kPrecision, true, 0> : sum_pair<kPrecision, false, 0>;
    sum({row_of(left, low), row_of(left, high), left.row_stride}, rows, panel, units,
        /*start=*/nullptr, 0, Ahead{},
        {out + low * out_stride, out + high * out_stride, out_stride});
  });
}

}  // namespace
}  // namespace softmoe::kernels
