#include "core/duration.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/read_number.h"

namespace softmoe {
namespace {

constexpr std::array<NumberUnit, 6> kTimeUnits{
    {{"d", 86400}, {"h", 3600}, {"min", 60}, {"m", 60}, {"s", 1}, {"", 1}}};

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  const auto seconds = parse_number_with_unit(text, kTimeUnits);
  return seconds ? std::optional(Duration{*seconds}) : std::nullopt;
}

std::string duration_text(Duration duration) {
  for (const auto& unit : kTimeUnits) {
    const double number = duration.seconds / unit.factor;
    if (duration.seconds > 0.0 && number == std::floor(number)) {
      return fmt::format("{}{}", number, unit.name);
    }
  }
  return fmt::format("{}s", duration.seconds);
}

}  // namespace softmoe
