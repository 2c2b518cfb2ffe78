#pragma once
/// How threads of a team wait for each other.

#include <atomic>
#include <cstdint>

namespace softmoe {

/// Waits until `value` is no longer `old`: spins for some microseconds, then sleeps.
void wait_for_change(const std::atomic<uint32_t>& value, uint32_t old);

/// A barrier for a number of threads that may change between teams.
class TeamBarrier {
 public:
  /// Sets the number of threads; no thread may be waiting.
  void start(int64_t size);
  /// Waits until all threads have called wait().
  void wait();

 private:
  int64_t size_ = 0;
  std::atomic<int64_t> arrived_{0};
  std::atomic<uint32_t> round_{0};
};

}  // namespace softmoe
