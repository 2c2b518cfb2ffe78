#include "runtime/thread_team.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <thread>

namespace softmoe {
namespace {

/// Tries of a waiting thread before it sleeps: about as long as the serial code between two fused
/// operators takes. Longer would steal the core from the thread that is waited for, where threads
/// outnumber cores; no spinning at all costs a system call and a wake-up for each phase.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/// Waits until `value` is no longer `old`.
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

}  // namespace

/// Where the threads of a team meet.
class TeamBarrier {
 public:
  void start(int64_t size) {
    size_ = size;
    arrived_ = 0;
  }

  void wait() {
    // Read before this thread arrives: once all have, the next team may change them.
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

 private:
  int64_t size_ = 0;
  std::atomic<int64_t> arrived_{0};
  std::atomic<uint32_t> round_{0};
};

namespace {

/// Threads that sleep until there is work. Lives as long as the process.
class Pool {
 public:
  /// Runs `function` on `size` threads, this one included.
  void run(int64_t size, c10::function_ref<void(const Team&)> function) {
    for (; workers_ + 1 < size; ++workers_) {
      std::thread([this, rank = workers_ + 1, seen = job_.load()] { work(rank, seen); }).detach();
    }
    barrier_.start(size);
    function_ = &function;
    const uint32_t round = (job_.load(std::memory_order_relaxed) >> kSizeBits) + 1;
    job_.store(round << kSizeBits | static_cast<uint32_t>(size), std::memory_order_release);
    job_.notify_all();
    function(Team{.rank = 0, .size = size, .meeting = &barrier_});
    barrier_.wait();
  }

  std::mutex& mutex() { return mutex_; }

  /// Largest team.
  static constexpr int64_t kMaxSize = 1000;

 private:
  static constexpr int kSizeBits = 10;

  void work(int64_t rank, uint32_t seen) {
    for (;;) {
      wait_for_change(job_, seen);
      // One value says which job it is and how many take part: a thread beyond the team may come
      // when the next job is being prepared.
      seen = job_.load(std::memory_order_acquire);
      const int64_t size = seen & ((1U << kSizeBits) - 1);
      if (rank < size) {
        (*function_)(Team{.rank = rank, .size = size, .meeting = &barrier_});
        barrier_.wait();
      }
    }
  }

  std::mutex mutex_;
  int64_t workers_ = 0;
  TeamBarrier barrier_;
  std::atomic<uint32_t> job_{0};
  c10::function_ref<void(const Team&)>* function_ = nullptr;
};

}  // namespace

void Team::barrier() const {
  if (size > 1) {
    meeting->wait();
  }
}

IndexRange Team::share(int64_t total, int64_t multiple) const {
  const int64_t units = (total + multiple - 1) / multiple;
  const auto bound = [&](int64_t part) { return std::min(total, units * part / size * multiple); };
  return {bound(rank), bound(rank + 1)};
}

void run_team(c10::function_ref<void(const Team&)> function) {
  const int64_t size = std::min<int64_t>(at::get_num_threads(), Pool::kMaxSize);
  static auto* const pool = new Pool;  // never destroyed: its threads may still wait at exit
  const std::unique_lock lock(pool->mutex(), std::try_to_lock);
  if (size == 1 || !lock.owns_lock()) {
    function(Team{});
    return;
  }
  pool->run(size, function);
}

void Arena::Free::operator()(std::byte* memory) const {
  ::operator delete[](memory, std::align_val_t{kAlignment});
}

void Arena::reset(size_t bytes) {
  used_ = 0;
  if (bytes > size_) {
    memory_.reset();
    memory_.reset(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{kAlignment})));
    size_ = bytes;
  }
}

std::byte* Arena::take_bytes(size_t bytes) {
  std::byte* part = memory_.get() + used_;
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  TORCH_INTERNAL_ASSERT(used_ <= size_, "arena of ", size_, " bytes is too small");
  return part;
}

Arena& thread_arena() {
  thread_local Arena arena;
  return arena;
}

}  // namespace softmoe
