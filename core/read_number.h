#pragma once
/// Numbers in texts, whatever the locale.

#include <optional>
#include <span>
#include <string_view>

namespace softmoe {

/// The number that the whole of `text` is, "inf" included; std::nullopt for other texts, "nan" and
/// numbers that double does not hold.
std::optional<double> parse_number(std::string_view text);

/// A unit behind a number, and what the number is multiplied by.
struct NumberUnit {
  std::string_view name;  ///< empty: of a number without a unit
  double factor = 1.0;
};

/// The number that `text` begins with, which must be finite and at least 0, times the factor of the
/// one of `units` that the rest of the text is; std::nullopt for other texts.
std::optional<double> parse_number_with_unit(std::string_view text,
                                             std::span<const NumberUnit> units);

}  // namespace softmoe
