#include "bench/simd/rounds.h"

#include <time.h>

#include <algorithm>

namespace softmoe::simd {
namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double seconds_of(const Work& work, int calls) {
  const double start = thread_seconds();
  for (int call = 0; call < calls; ++call) {
    work.run();
  }
  return thread_seconds() - start;
}

}  // namespace

void measure(std::vector<Work>& works, int rounds, double seconds) {
  std::vector<int> calls;
  for (const auto& work : works) {
    work.run();
    calls.push_back(std::max(1, static_cast<int>(seconds / seconds_of(work, 1))));
  }
  for (int round = 0; round < rounds; ++round) {
    for (size_t place = 0; place < works.size(); ++place) {
      // Every second round goes backwards, so that no work always follows the same one.
      const size_t index = round % 2 == 0 ? place : works.size() - 1 - place;
      auto& work = works[index];
      work.run();  // brings the factors into the caches
      work.rates.push_back(1e-9 * work.flops * calls[index] / seconds_of(work, calls[index]));
    }
  }
  for (auto& work : works) {
    std::sort(work.rates.begin(), work.rates.end());
  }
}

}  // namespace softmoe::simd
