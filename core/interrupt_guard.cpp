#include "core/interrupt_guard.h"

#include <time.h>

#include <array>
#include <atomic>
#include <csignal>

namespace softmoe {
namespace {

/// Signals within this time are one: `timeout` and shells send each to the process and to its
/// group, and wrappers send on what the terminal sends to all.
constexpr int64_t kOneSignalMs = 1000;

std::atomic<bool> requested = false;
/// When each signal came first, in milliseconds; 0: not yet.
std::array<std::atomic<int64_t>, NSIG> first_at{};
static_assert(std::atomic<int64_t>::is_always_lock_free, "it is used by a signal handler");

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return 1 + now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

void on_signal(int signal) {
  requested = true;
  int64_t first = 0;
  const int64_t now = now_ms();
  if (!first_at[static_cast<size_t>(signal)].compare_exchange_strong(first, now) &&
      now - first > kOneSignalMs) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

InterruptGuard::InterruptGuard() {
  requested = false;
  for (auto& time : first_at) {
    time = 0;
  }
  for (size_t index = 0; index < kSignals.size(); ++index) {
    previous_[index] = std::signal(kSignals[index], on_signal);
    if (previous_[index] == SIG_IGN) {  // as under nohup, or in the background of a script
      std::signal(kSignals[index], SIG_IGN);
    }
  }
}

InterruptGuard::~InterruptGuard() {
  for (size_t index = 0; index < kSignals.size(); ++index) {
    std::signal(kSignals[index], previous_[index]);
  }
}

bool interrupt_requested() { return requested; }

}  // namespace softmoe
