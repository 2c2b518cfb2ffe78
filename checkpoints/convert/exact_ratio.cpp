#include "checkpoints/convert/exact_ratio.h"

#include <cmath>

namespace softmoe {

double exact_ratio(int64_t hidden, int64_t dim) {
  const double ratio = static_cast<double>(hidden) / static_cast<double>(dim);
  const bool falls_short = static_cast<int64_t>(ratio * static_cast<double>(dim)) < hidden;
  return falls_short ? std::nextafter(ratio, HUGE_VAL) : ratio;
}

}  // namespace softmoe
