#pragma once
/// Measures several pieces of work in turns.

#include <functional>
#include <string>
#include <vector>

namespace softmoe::simd {

struct Work {
  std::string level;
  std::string job;  ///< what is computed
  std::string way;  ///< how it is written
  double flops;     ///< per call of `run`
  std::function<void()> run;
  std::vector<double> rates{};  ///< GFLOP/s, one per round, ascending after measure()
};

/// Runs all works in turns, `rounds` times, each for about `seconds`. Time is that of the thread,
/// so other processes count only by what they take of the caches and of the memory.
void measure(std::vector<Work>& works, int rounds, double seconds);

inline double quantile(const Work& work, double share) {
  return work.rates[static_cast<size_t>(share * static_cast<double>(work.rates.size() - 1) + 0.5)];
}
inline double median(const Work& work) { return quantile(work, 0.5); }

}  // namespace softmoe::simd
