#include "core/precision.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace softmoe {

Precision parse_precision(const std::string& name) {
  constexpr std::array<EnumName<Precision>, 4> kShortNames{{{Precision::kFloat32, "fp32"},
                                                            {Precision::kBFloat16, "bf16"},
                                                            {Precision::kFloat16, "fp16"},
                                                            {Precision::kFloat64, "fp64"}}};
  for (const auto& [precision, short_name] : kShortNames) {
    if (short_name == name) {
      return precision;
    }
  }
  if (const auto precision = enum_value<Precision>(name)) {
    return *precision;
  }
  throw UsageError("dtype", fmt::format("one of {}", fmt::join(enum_names<Precision>(), ", ")),
                   "'" + name + "'");
}

}  // namespace softmoe
