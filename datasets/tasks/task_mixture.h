#pragma once
/// How often the tasks of a mixture come.

#include <cstdint>
#include <vector>

#include "core/options.h"
#include "core/rng.h"

namespace softmoe {

/// The share of a task of n examples is proportional to min(n, cap)^(1 / temperature). Source:
/// Raffel et al., arXiv:1910.10683, section 3.5.2 (temperature-scaled mixing); Wei et al.,
/// arXiv:2109.01652, section 2.1 (a cap).
struct MixtureOptions {
  double temperature = 1.0;
  int64_t cap = 10'000;

  bool operator==(const MixtureOptions&) const = default;
};
void describe(OptionTable& table, MixtureOptions& options);

/// A task of a mixture.
struct MixturePart {
  int64_t examples = 0;  ///< -1: no end
  double weight = 1.0;   ///< a factor of its share
};

/// The share of each of `parts`, with the sum 1. Throws UsageError if no part has any.
std::vector<double> mixture_rates(const std::vector<MixturePart>& parts,
                                  const MixtureOptions& options);

/// The part that `rng` draws by `rates`.
int64_t draw_part(const std::vector<double>& rates, Rng& rng);

}  // namespace softmoe
