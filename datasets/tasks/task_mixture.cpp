#include "datasets/tasks/task_mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace softmoe {

void describe(OptionTable& table, MixtureOptions& options) {
  table.add("mix-temperature", options.temperature,
            "the share of a task of n examples is proportional to n^(1/temperature): 1: to n; "
            "large: all tasks equally often",
            {.min = 1e-2, .max = 1e6});
  table.add("mix-cap", options.cap,
            "examples that a task counts for at most; drawn pictures, which have no end, count for "
            "so many",
            {.unit = "examples", .min = 1});
}

std::vector<double> mixture_rates(const std::vector<MixturePart>& parts,
                                  const MixtureOptions& options) {
  std::vector<double> rates;
  for (const auto& part : parts) {
    const auto examples = part.examples < 0 ? options.cap : std::min(part.examples, options.cap);
    rates.push_back(part.weight *
                    std::pow(static_cast<double>(examples), 1.0 / options.temperature));
  }
  const double sum = std::accumulate(rates.begin(), rates.end(), 0.0);
  if (!(sum > 0)) {
    throw UsageError("weight of tasks", "one above 0", "0 for all");
  }
  for (double& rate : rates) {
    rate /= sum;
  }
  return rates;
}

int64_t draw_part(const std::vector<double>& rates, Rng& rng) {
  double left = rng.uniform();
  int64_t last = 0;
  for (int64_t part = 0; part < std::ssize(rates); ++part) {
    const double rate = rates[static_cast<size_t>(part)];
    if (rate > 0) {
      last = part;
    }
    if (left < rate) {
      return part;
    }
    left -= rate;
  }
  return last;  // the sum was rounded
}

}  // namespace softmoe
