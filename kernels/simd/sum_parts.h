#pragma once
/// What the sums of a product by vectors (tiles.h) and by matrix registers (matrix_sums.h) share.
/// Internal linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

/// Memory that a tile fetches into the second-level cache on the way: kLines lines per unit, which
/// lie `step` bytes apart from unit to unit and half of that within one.
struct Ahead {
  const char* data = nullptr;
  int64_t step = 0;
};

/// Fetches what belongs to one unit, and goes on to the next.
template <int kLines>
[[gnu::always_inline]] inline void fetch_ahead(Ahead& ahead) {
  fetch_line_far(ahead.data);
  if constexpr (kLines > 1) {
    fetch_line_far(ahead.data + ahead.step / 2);
  }
  ahead.data += ahead.step;
}

inline const Unit* row_of(const LeftUnits& left, int64_t row) {
  return left.tile_stride == 0
             ? left.data + row * left.row_stride
             : left.data + row / kTileRows * left.tile_stride + row % kTileRows * left.row_stride;
}

/// The units from `unit` on.
inline LeftUnits units_from(const LeftUnits& left, int64_t unit) {
  return {left.data + unit * left.unit_stride, left.row_stride, left.unit_stride, left.tile_stride};
}

}  // namespace
}  // namespace softmoe::kernels
