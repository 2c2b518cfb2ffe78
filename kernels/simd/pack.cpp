// Packing of the factors of matrix products.

#include "kernels/simd/groups.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// Rows that are asked for ahead of time: the processor does not foresee steps of whole rows.
constexpr int64_t kAhead = 16;
/// Columns that pack_rows takes of each row at a time: memory gives long stretches faster.
constexpr int64_t kGroupColumns = 4 * kPanelColumns;

/// Units from two rows of bf16, or from one of fp32: lane c holds upper[c] in its low half and
/// lower[c] in its high half.
template <Precision kPrecision>
inline Ints unit_of_rows(Source source, int64_t upper, int64_t lower, bool has_lower, Mask mask) {
  if constexpr (kPrecision == Precision::kFloat32) {
    return as_ints(load(mask, source.fp32 + upper));
  } else if (source.bf16 != nullptr) {
    const Ints low = load_words(mask, source.bf16 + upper);
    return has_lower ? bit_or(low, shift_left<16>(load_words(mask, source.bf16 + lower))) : low;
  } else {
    return pair_bf16(load(mask, source.fp32 + upper),
                     has_lower ? load(mask, source.fp32 + lower) : zero());
  }
}

/// As many values of one row as fill the lanes with units, those from `count` on zero.
template <Precision kPrecision>
inline Ints units_of_row(Source source, int64_t index, int64_t count) {
  if constexpr (kPrecision == Precision::kFloat32) {
    return as_ints(load(lanes(0, count), source.fp32 + index));
  } else if (source.bf16 != nullptr) {
    return load_pairs(pair_lanes(0, count), source.bf16 + index);
  } else {
    return neighbours_bf16(load(lanes(0, count), source.fp32 + index),
                           load(lanes(kLanes, count), source.fp32 + index + kLanes));
  }
}

/// One vector of a panel's columns from kLanes rows of `w`, of which `count` exist, with `depth`
/// values each. kWhole: all rows exist and the depth fills all vectors, which spares the masks.
template <Precision kPrecision, bool kWhole>
inline void pack_columns(Source w, int64_t stride, int64_t depth, int64_t count, Unit* target) {
  constexpr int64_t kDepth = kLanes * values_per_unit(kPrecision);
  for (int64_t at = 0; at < depth; at += kDepth, target += kLanes * kPanelColumns) {
    Ints rows[kLanes];
    Source row_values = w.offset(at);
#pragma GCC unroll 16
    for (int row = 0; row < kLanes; ++row, row_values = row_values.offset(stride)) {
      fetch(row_values, kAhead * stride);
      rows[row] = kWhole || row < count
                      ? units_of_row<kPrecision>(row_values, 0, kWhole ? kDepth : depth - at)
                      : zero_ints();
    }
    transpose(rows);
    const int64_t units =
        kWhole || depth - at >= kDepth ? kLanes : units_of(kPrecision, depth - at);
    for (int64_t row = 0; row < units; ++row) {
      store_ints(target + row * kPanelColumns, rows[row]);
    }
  }
}

template <Precision kPrecision>
void pack_transposed_of(Source w, int64_t stride, int64_t depth, int64_t first, int64_t last,
                        Unit* packed) {
  constexpr int64_t kDepth = kLanes * values_per_unit(kPrecision);
  const int64_t units = units_of(kPrecision, depth);
  // Vectors of the last panel for which there are no columns are zero.
  for (int64_t column = first; column < round_up(last, kPanelColumns); column += kLanes) {
    Unit* target = packed + column / kPanelColumns * kPanelColumns * units + column % kPanelColumns;
    if (column >= last) {
      for (int64_t unit = 0; unit < units; ++unit) {
        store_ints(target + unit * kPanelColumns, zero_ints());
      }
    } else if (w.fp32 != nullptr && column + kLanes <= last && depth % kDepth == 0) {
      pack_columns<kPrecision, true>({.fp32 = w.fp32 + column * stride}, stride, depth, kLanes,
                                     target);
    } else {
      pack_columns<kPrecision, false>(w.offset(column * stride), stride, depth, last - column,
                                      target);
    }
  }
}

template <Precision kPrecision>
void pack_rows_of(Source b, int64_t stride, int64_t depth, int64_t first, int64_t last,
                  Unit* packed) {
  constexpr int64_t kEach = values_per_unit(kPrecision);
  const int64_t units = units_of(kPrecision, depth);
  for (int64_t group = first; group < last; group += kGroupColumns) {
    const int64_t end = group + kGroupColumns < last ? group + kGroupColumns : last;
    for (int64_t unit = 0; unit < units; ++unit) {
      const bool has_lower = kEach * unit + 1 < depth;
      for (int64_t column = group; column < end; column += kPanelColumns) {
        Unit* const target = packed + column * units + unit * kPanelColumns;
        const int64_t upper = kEach * unit * stride + column;
        fetch(b, upper + kAhead * stride);
        if constexpr (kEach > 1) {
          fetch(b, upper + (kAhead + 1) * stride);
        }
#pragma GCC unroll 8
        for (int64_t at = 0; at < kPanelColumns; at += kLanes) {
          store_ints(target + at, unit_of_rows<kPrecision>(b, upper + at, upper + stride + at,
                                                           has_lower, lanes(column + at, last)));
        }
      }
    }
  }
}

/// Stores a vector of columns, `column` the first of them, to its tiles of eight columns.
inline void store_in_tiles(Unit* tiles, int64_t units, int64_t unit, int64_t column, int64_t last,
                           Ints value) {
  Unit* const target =
      tiles + column / kTileRows * kTileRows * units + unit * kTileRows + column % kTileRows;
  store_tile_lanes<0>(target, value);
  if constexpr (kLanes > kTileLanes) {
    if (column + kTileRows < last) {
      store_tile_lanes<1>(target + units * kTileRows, value);
    }
  }
}

template <Precision kPrecision>
void pack_left_transposed_of(Source y, int64_t stride, int64_t rows, int64_t first, int64_t last,
                             Unit* packed, float* column_sums) {
  constexpr int64_t kEach = values_per_unit(kPrecision);
  const int64_t units = units_of(kPrecision, rows);
  for (int64_t column = first; column < round_up(last, kTileRows); column += kLanes) {
    const Mask mask = lanes(column, last);
    Floats sum = zero();
    for (int64_t unit = 0; unit < units; ++unit) {
      const int64_t upper = kEach * unit * stride + column;
      fetch(y, upper + kAhead * stride);
      if constexpr (kEach > 1) {
        fetch(y, upper + (kAhead + 1) * stride);
      }
      const Ints values =
          unit_of_rows<kPrecision>(y, upper, upper + stride, kEach * unit + 1 < rows, mask);
      store_in_tiles(packed, units, unit, column, last, values);
      if constexpr (kPrecision == Precision::kFloat32) {
        sum = add(sum, as_floats(values));
      } else {
        sum = add(add(sum, low_bf16(values)), high_bf16(values));
      }
    }
    if (column_sums != nullptr) {
      store(column_sums + column, mask, add(load(mask, column_sums + column), sum));
    }
  }
}

#ifdef SOFTMOE_MATRIX_PRODUCTS
/// pack_left_transposed() of bf16 into whole rows, as matrix registers load them.
void pack_left_rows(Source y, int64_t stride, int64_t rows, int64_t first, int64_t last,
                    Unit* packed, float* column_sums) {
  constexpr auto kPrecision = Precision::kBFloat16;
  const int64_t units = units_of(kPrecision, rows);
  for (int64_t column = first; column < last; column += kLanes) {
    const Mask mask = lanes(column, last);
    const int64_t count = round_up(last, kTileRows) - column;
    Floats sum = zero();
    for (int64_t unit = 0; unit < units; unit += kLanes) {
      Ints block[kLanes];
#pragma GCC unroll 16
      for (int64_t line = 0; line < kLanes; ++line) {
        const int64_t upper = 2 * (unit + line) * stride + column;
        fetch(y, upper + kAhead * stride);
        fetch(y, upper + (kAhead + 1) * stride);
        block[line] = unit + line < units
                          ? unit_of_rows<kPrecision>(y, upper, upper + stride,
                                                     2 * (unit + line) + 1 < rows, mask)
                          : zero_ints();
        sum = add(add(sum, low_bf16(block[line])), high_bf16(block[line]));
      }
      transpose(block);
      for (int64_t row = 0; row < kLanes && row < count; ++row) {
        store_ints(packed + (column + row) * units + unit, lanes(unit, units), block[row]);
      }
    }
    if (column_sums != nullptr) {
      store(column_sums + column, mask, add(load(mask, column_sums + column), sum));
    }
  }
}

constexpr int64_t kBf16LeftTile = 1;
constexpr auto kPackBf16Left = pack_left_rows;
#else
constexpr int64_t kBf16LeftTile = kTileRows;
constexpr auto kPackBf16Left = pack_left_transposed_of<Precision::kBFloat16>;
#endif

void pack_transposed(Precision precision, Source w, int64_t stride, int64_t depth, int64_t first,
                     int64_t last, Unit* packed) {
  const auto run = precision == Precision::kFloat32 ? pack_transposed_of<Precision::kFloat32>
                                                    : pack_transposed_of<Precision::kBFloat16>;
  run(w, stride, depth, first, last, packed);
}

void pack_rows(Precision precision, Source b, int64_t stride, int64_t depth, int64_t first,
               int64_t last, Unit* packed) {
  const auto run = precision == Precision::kFloat32 ? pack_rows_of<Precision::kFloat32>
                                                    : pack_rows_of<Precision::kBFloat16>;
  run(b, stride, depth, first, last, packed);
}

void pack_left_transposed(Precision precision, Source y, int64_t stride, int64_t rows,
                          int64_t first, int64_t last, Unit* packed, float* column_sums) {
  const auto run = precision == Precision::kFloat32 ? pack_left_transposed_of<Precision::kFloat32>
                                                    : kPackBf16Left;
  run(y, stride, rows, first, last, packed, column_sums);
}

void to_bf16(Source source, int64_t source_stride, int64_t rows, int64_t columns, Bf16* target,
             int64_t target_stride) {
  const int64_t even_columns = round_up(columns, 2);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < even_columns; column += kLanes) {
      store_bf16(target + row * target_stride + column, lanes(column, even_columns),
                 load(source, row * source_stride + column, lanes(column, columns)));
    }
  }
}

}  // namespace

const PackKernels kPackKernels{.pack_transposed = pack_transposed,
                               .pack_rows = pack_rows,
                               .bf16_left_tile = kBf16LeftTile,
                               .pack_left_transposed = pack_left_transposed,
                               .to_bf16 = to_bf16};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
