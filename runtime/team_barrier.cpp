#include "runtime/team_barrier.h"

namespace softmoe {
namespace {

/// Tries of a waiting thread before it sleeps: about as long as the serial code between two fused
/// operators takes. More tries would take the core from the thread that is waited for, if threads
/// outnumber cores; without tries each phase would cost a system call and a wake-up.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void wait_for_change(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) {
      return;
    }
    pause();
  }
  while (value.load(std::memory_order_acquire) == old) {
    value.wait(old, std::memory_order_acquire);
  }
}

void TeamBarrier::start(int64_t size) {
  size_ = size;
  arrived_ = 0;
}

void TeamBarrier::wait() {
  // Read before this thread arrives: once all have, the next team may start.
  const int64_t size = size_;
  const uint32_t round = round_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    round_.notify_all();
  } else {
    wait_for_change(round_, round);
  }
}

}  // namespace softmoe
