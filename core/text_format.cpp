#include "core/text_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

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

int64_t text_width(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return !is_continuation_byte(byte); });
}

}  // namespace softmoe
