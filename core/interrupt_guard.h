#pragma once
/// Ctrl-C, SIGTERM and SIGHUP, handled at the next safe point instead of at once.

#include <array>
#include <csignal>

namespace softmoe {

/// While one exists, SIGINT, SIGTERM and SIGHUP only set a flag; one of them that comes again, more
/// than a second later, ends the program. Signals that are ignored, as SIGHUP is under nohup, stay
/// so.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  static constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};

  std::array<void (*)(int), kSignals.size()> previous_{};
};

/// Returns true if the user has asked to stop since the last guard was made.
bool interrupt_requested();

}  // namespace softmoe
