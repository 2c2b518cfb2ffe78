#include "core/precision.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr std::array<EnumName<Precision>, 4> kShortNames{{{Precision::kFloat32, "fp32"},
                                                          {Precision::kBFloat16, "bf16"},
                                                          {Precision::kFloat16, "fp16"},
                                                          {Precision::kFloat64, "fp64"}}};

}  // namespace

std::string short_precision_name(std::string_view name) {
  for (const auto& [precision, short_name] : kShortNames) {
    if (enum_name(precision) == name) {
      return std::string(short_name);
    }
  }
  return "";
}

std::string full_precision_name(const std::string& text) {
  for (const auto& [precision, short_name] : kShortNames) {
    if (short_name == text) {
      return enum_name(precision);
    }
  }
  return text;
}

Precision parse_precision(const std::string& name) {
  if (const auto precision = enum_value<Precision>(full_precision_name(name))) {
    return *precision;
  }
  throw UsageError("dtype", fmt::format("one of {}", fmt::join(enum_names<Precision>(), ", ")),
                   "'" + name + "'");
}

}  // namespace softmoe
