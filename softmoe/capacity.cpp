#include "softmoe/capacity.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

namespace softmoe {

int64_t expert_capacity(int64_t requests, int64_t experts, double factor, CapacityRounding rounding,
                        int64_t multiple) {
  TORCH_CHECK_VALUE(rounding != CapacityRounding::kUsual, "expert_capacity: no rounding is given");
  TORCH_CHECK_VALUE(requests >= 0 && experts > 0 && factor > 0 && multiple >= 0,
                    "expert_capacity: experts and the capacity factor must be positive, requests "
                    "and the multiple not negative, found ",
                    experts, ", ", factor, ", ", requests, " and ", multiple);
  // In the order of the reference's operations: another one rounds other shares up.
  const double share = static_cast<double>(requests) * factor / static_cast<double>(experts);
  // nearbyint rounds halves to even.
  const double rounded =
      rounding == CapacityRounding::kUp ? std::ceil(share) : std::nearbyint(share);
  constexpr double kMaxRows = 1LL << 53;  // more rows than any machine has, and still exact
  const auto capacity = static_cast<int64_t>(std::clamp(rounded, 1.0, kMaxRows));
  const int64_t rest = multiple == 0 ? 0 : capacity % multiple;
  return rest == 0 ? capacity : capacity + (multiple - rest);
}

CapacityRounding capacity_rounding(const SparseOptions& options, CapacityRounding usual) {
  return options.capacity_rounding == CapacityRounding::kUsual ? usual : options.capacity_rounding;
}

double capacity_factor(const MoeOptions& options, bool training) {
  const double of_evaluation = options.sparse.eval_capacity_factor;
  return training || of_evaluation == 0 ? options.capacity_factor : of_evaluation;
}

}  // namespace softmoe
