#pragma once
/// Threads that run one function together, with barriers between its phases: cheaper than one
/// parallel loop a phase. They are as many as libtorch's operators use, but threads of their own:
/// OpenMP's either spin for milliseconds, which stalls everything where other programs share the
/// cores, or sleep at every barrier; these spin for some microseconds and then sleep.

#include <c10/util/FunctionRef.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace softmoe {

/// Indices [first, last).
struct IndexRange {
  int64_t first;
  int64_t last;
};

class TeamBarrier;

/// One thread's place in its team.
struct Team {
  int64_t rank = 0;
  int64_t size = 1;
  TeamBarrier* meeting = nullptr;

  /// Waits for all threads of the team.
  void barrier() const;
  /// This thread's share of [0, total), in multiples of `multiple` but for the end.
  IndexRange share(int64_t total, int64_t multiple = 1) const;
};

/// Runs `function` on all threads, on this one alone where another team is at work. It must not
/// throw and must not use tensors' operators.
void run_team(c10::function_ref<void(const Team&)> function);

/// Memory that is handed out piece by piece and taken back as a whole. It only grows, so that its
/// pages stay mapped and warm in the caches.
class Arena {
 public:
  /// Takes everything back; what was handed out becomes invalid. Then has room for `bytes`.
  void reset(size_t bytes);
  /// `count` values, aligned for vectors; the room must be there.
  template <typename T>
  T* take(int64_t count) {
    return reinterpret_cast<T*>(take_bytes(static_cast<size_t>(count) * sizeof(T)));
  }
  /// The room that take() needs.
  template <typename T>
  static size_t room(int64_t count) {
    return (static_cast<size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  static constexpr size_t kAlignment = 64;
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::byte* take_bytes(size_t bytes);

  std::unique_ptr<std::byte[], Free> memory_;
  size_t size_ = 0;
  size_t used_ = 0;
};

/// This thread's own arena, for the life of one operator.
Arena& thread_arena();

}  // namespace softmoe
