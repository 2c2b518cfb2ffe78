#include "report/number_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace softmoe::report {

std::string fixed_text(double value, int decimals) {
  if (!std::isfinite(value)) {
    return kNoValue;
  }
  std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  const auto point = text.find('.');
  auto position = static_cast<int64_t>(point == std::string::npos ? text.size() : point) - 3;
  for (; position > 0; position -= 3) {
    text.insert(static_cast<size_t>(position), 1, ',');
  }
  return (std::signbit(value) && !is_zero ? "-" : "") + text;
}

std::string short_text(double value, int digits) {
  if (!std::isfinite(value)) {
    return kNoValue;
  }
  const double magnitude = std::abs(value);
  if (magnitude != 0.0 && (magnitude < 1e-4 || magnitude >= 1e15)) {
    return fmt::format("{:.{}g}", value, digits);
  }
  // The exponent after rounding: 9.996 with three digits is 10.0.
  const auto scientific = fmt::format("{:.{}e}", magnitude, digits - 1);
  const int leading = std::stoi(scientific.substr(scientific.find('e') + 1));
  return fixed_text(value, std::max(0, digits - 1 - leading));
}

std::string percent_text(double share, int decimals) { return fixed_text(100.0 * share, decimals); }

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) {
    return kNoValue;
  }
  if (seconds < 99.5) {
    return (seconds < 9.95 ? fixed_text(seconds, 1) : fixed_text(seconds, 0)) + " s";
  }
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) {
    return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  }
  return fmt::format("{}:{:02}:{:02} h", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string shortened(const std::string& text, int64_t limit) {
  if (text_width(text) <= limit) {
    return text;
  }
  std::string kept;
  int64_t length = 0;
  for (const char byte : text) {
    length += is_continuation_byte(byte) ? 0 : 1;
    if (length >= limit) {
      break;
    }
    kept += byte;
  }
  return kept + "\u2026";
}

}  // namespace softmoe::report
