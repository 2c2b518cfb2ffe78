#include "inference/packed/entmax_row.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace softmoe {

void entmax15_row(float* values, int64_t count, float* sorted) {
  const float largest = *std::max_element(values, values + count);
  std::transform(values, values + count, values,
                 [largest](float value) { return 0.5F * (value - largest); });
  std::copy_n(values, count, sorted);
  std::sort(sorted, sorted + count, std::greater<>());
  double sum = 0.0;
  double squares = 0.0;
  double threshold = 0.0;
  for (int64_t index = 0; index < count; ++index) {
    const double value = sorted[index];
    sum += value;
    squares += value * value;
    const auto size = static_cast<double>(index + 1);
    const double mean = sum / size;
    const double rest = (1.0 - (squares - sum * mean)) / size;
    const double candidate = mean - std::sqrt(std::max(0.0, rest));
    if (candidate > value) {
      break;
    }
    threshold = candidate;
  }
  std::transform(values, values + count, values, [threshold](float value) {
    const double root = std::max(0.0, static_cast<double>(value) - threshold);
    return static_cast<float>(root * root);
  });
}

}  // namespace softmoe
