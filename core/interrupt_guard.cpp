#include "core/interrupt_guard.h"

#include <csignal>

namespace softmoe {
namespace {

volatile std::sig_atomic_t requested = 0;

void on_signal(int signal) {
  requested = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  requested = 0;
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

bool interrupt_requested() { return requested != 0; }

}  // namespace softmoe
