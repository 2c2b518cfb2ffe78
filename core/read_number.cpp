#include "core/read_number.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace softmoe {
namespace {

/// A number, and the text behind it.
struct LeadingNumber {
  double number = 0.0;
  std::string_view rest;
};

std::optional<LeadingNumber> leading_number(std::string_view text) {
  LeadingNumber found;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, found.number);
  if (error != std::errc() || std::isnan(found.number)) {
    return std::nullopt;
  }
  found.rest = {rest, static_cast<size_t>(end - rest)};
  return found;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  const auto found = leading_number(text);
  return found && found->rest.empty() ? std::optional(found->number) : std::nullopt;
}

std::optional<double> parse_number_with_unit(std::string_view text,
                                             std::span<const NumberUnit> units) {
  const auto found = leading_number(text);
  if (!found || found->number < 0.0 || !std::isfinite(found->number)) {
    return std::nullopt;
  }
  const auto unit = std::ranges::find(units, found->rest, &NumberUnit::name);
  return unit == units.end() ? std::nullopt : std::optional(found->number * unit->factor);
}

}  // namespace softmoe
