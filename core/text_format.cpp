#include "core/text_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/read_number.h"

namespace softmoe {
namespace {

/// Three significant digits of `value` in the largest of five units, each 1000 times the previous
/// one.
std::string scaled(double value, const std::array<const char*, 5>& units) {
  if (!std::isfinite(value)) {
    return kNoValue;
  }
  size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  const double magnitude = std::abs(value);
  const int decimals = unit == 0 || magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", value, decimals, units[unit]);
}

}  // namespace

std::string format_count(double count) { return scaled(count, {"", "k", "M", "B", "T"}); }

std::string format_bytes(double bytes) { return scaled(bytes, {" B", " kB", " MB", " GB", " TB"}); }

std::optional<int64_t> parse_bytes(std::string_view text) {
  static constexpr std::array<NumberUnit, 10> kUnits{{{"", 1},
                                                      {"B", 1},
                                                      {"kB", 1e3},
                                                      {"MB", 1e6},
                                                      {"GB", 1e9},
                                                      {"TB", 1e12},
                                                      {"KiB", 1024.0},
                                                      {"MiB", 1024.0 * 1024},
                                                      {"GiB", 1024.0 * 1024 * 1024},
                                                      {"TiB", 1024.0 * 1024 * 1024 * 1024}}};
  const auto bytes = parse_number_with_unit(text, kUnits);
  return bytes && *bytes <= 9e18 ? std::optional(static_cast<int64_t>(*bytes)) : std::nullopt;
}

int64_t text_width(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return !is_continuation_byte(byte); });
}

}  // namespace softmoe
