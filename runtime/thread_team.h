#pragma once
/// Threads that run one function together.
///
/// The function has phases with barriers between them, which is cheaper than one parallel loop per
/// phase. There are as many threads as libtorch's operators use, but they are threads of their own.
/// OpenMP's threads either spin for milliseconds at every barrier, which stalls all threads if
/// other programs share the cores, or sleep at every barrier; the threads here spin for some
/// microseconds and then sleep.

#include <c10/util/FunctionRef.h>

#include <cstdint>

namespace softmoe {

/// Indices [first, last).
struct IndexRange {
  int64_t first;
  int64_t last;
};

class TeamBarrier;

/// The team as one of its threads sees it.
struct ThreadTeam {
  int64_t rank = 0;  ///< of this thread
  int64_t size = 1;  ///< number of threads
  TeamBarrier* meeting = nullptr;

  /// Waits for all threads of the team.
  void barrier() const;
  /// This thread's share of [0, total). Shares are multiples of `multiple`, but for the last one.
  IndexRange share(int64_t total, int64_t multiple = 1) const;
};

/// Runs `function` on all threads, or on the calling thread alone if another team is at work.
/// `function` must not throw and must not call operators of tensors.
void run_team(c10::function_ref<void(const ThreadTeam&)> function);

}  // namespace softmoe
