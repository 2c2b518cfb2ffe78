#pragma once
/// Ctrl-C and SIGTERM, handled at the next safe point instead of at once.

namespace softmoe {

/// While one exists, SIGINT and SIGTERM only set a flag; a second signal ends the program.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

/// Returns true if the user has asked to stop since the last guard was made.
bool interrupt_requested();

}  // namespace softmoe
