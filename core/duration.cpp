#include "core/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace softmoe {
namespace {

struct TimeUnit {
  std::string_view name;
  double seconds;
};

constexpr std::array<TimeUnit, 5> kTimeUnits{
    {{"d", 86400}, {"h", 3600}, {"min", 60}, {"m", 60}, {"s", 1}}};

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  double number = 0.0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || !(number >= 0.0) || !std::isfinite(number)) {
    return std::nullopt;
  }
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  const auto* const row =
      unit.empty() ? &kTimeUnits.back() : std::ranges::find(kTimeUnits, unit, &TimeUnit::name);
  if (row == kTimeUnits.end()) {
    return std::nullopt;
  }
  return Duration{number * row->seconds};
}

std::string duration_text(Duration duration) {
  for (const auto& unit : kTimeUnits) {
    const double number = duration.seconds / unit.seconds;
    if (duration.seconds > 0.0 && number == std::floor(number)) {
      return fmt::format("{}{}", number, unit.name);
    }
  }
  return fmt::format("{}s", duration.seconds);
}

}  // namespace softmoe
