#pragma once
/// How the factors of matrix products lie in memory, on every level.
///
/// 32 bits along the depth are a unit, which holds one fp32, two bf16 or four 8-bit integers; a
/// depth that does not fill the last unit is filled up with zero. The right factor [depth, columns]
/// lies in panels of 32 columns: [columns / 32, units, 32].

#include <cstdint>

#include "core/precision.h"
#include "kernels/types.h"

namespace softmoe::kernels {

inline constexpr int64_t values_per_unit(Precision precision) {
  return precision == Precision::kFloat32 ? 1 : precision == Precision::kBFloat16 ? 2 : 4;
}
inline constexpr int64_t units_of(Precision precision, int64_t depth) {
  const int64_t values = values_per_unit(precision);
  return (depth + values - 1) / values;
}

inline constexpr int64_t kPanelColumns = 32;
inline constexpr int64_t panels_of(int64_t columns) {
  return (columns + kPanelColumns - 1) / kPanelColumns;
}
/// Units of a packed right factor.
inline constexpr int64_t packed_size(Precision precision, int64_t depth, int64_t columns) {
  return panels_of(columns) * kPanelColumns * units_of(precision, depth);
}

/// Rows of a tile: threads share rows in multiples of it.
inline constexpr int64_t kTileRows = 8;

/// The left factor: unit u of row r is at data[r * row_stride + u * unit_stride], or, if rows lie
/// in tiles of kTileRows, at data[r / kTileRows * tile_stride + r % kTileRows * row_stride + u *
/// unit_stride].
struct LeftUnits {
  const Unit* data;
  int64_t row_stride;
  int64_t unit_stride = 1;
  int64_t tile_stride = 0;  ///< 0: no tiles
};
/// Rows of values `stride` apart, which is a whole number of units.
inline LeftUnits left_rows(Source rows, int64_t stride) {
  return rows.bf16 != nullptr ? LeftUnits{reinterpret_cast<const Unit*>(rows.bf16), stride / 2}
                              : LeftUnits{reinterpret_cast<const Unit*>(rows.fp32), stride};
}

}  // namespace softmoe::kernels
