#pragma once
/// Parts of which the tables of names are made: see timm_names, hf_names and flax_names.

#include <algorithm>
#include <array>

#include "checkpoints/convert/name_map.h"

namespace softmoe {

/// Shares of joined projections.
inline constexpr AxisShare kAllRows{0, 1, 1};
inline constexpr AxisShare kQueryRows{0, 1, 3};
inline constexpr AxisShare kKeyRows{1, 1, 3};
inline constexpr AxisShare kValueRows{2, 1, 3};
inline constexpr AxisShare kKeyAndValueRows{1, 2, 3};
inline constexpr AxisShare kFirstHalfRows{0, 1, 2};
inline constexpr AxisShare kSecondHalfRows{1, 1, 2};

/// The rows of several tables, one after the other.
template <size_t... kRows>
constexpr auto joined(const std::array<NameRow, kRows>&... parts) {
  std::array<NameRow, (kRows + ...)> rows{};
  auto end = rows.begin();
  ((end = std::copy(parts.begin(), parts.end(), end)), ...);
  return rows;
}

}  // namespace softmoe
