#include "runtime/thread_team.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "runtime/team_barrier.h"

namespace softmoe {
namespace {

/// Threads that sleep until there is work; they live as long as the process.
class WorkerPool {
 public:
  /// Runs `function` on `size` threads, the calling one included.
  void run(int64_t size, c10::function_ref<void(const ThreadTeam&)> function) {
    for (; workers_ + 1 < size; ++workers_) {
      std::thread([this, rank = workers_ + 1, seen = job_.load()] { work(rank, seen); }).detach();
    }
    barrier_.start(size);
    function_ = &function;
    const uint32_t round = (job_.load(std::memory_order_relaxed) >> kSizeBits) + 1;
    job_.store(round << kSizeBits | static_cast<uint32_t>(size), std::memory_order_release);
    job_.notify_all();
    function(ThreadTeam{.rank = 0, .size = size, .meeting = &barrier_});
    barrier_.wait();
  }

  std::mutex& mutex() { return mutex_; }

  /// The maximum number of threads of a team.
  static constexpr int64_t kMaxSize = 1000;

 private:
  static constexpr int kSizeBits = 10;

  void work(int64_t rank, uint32_t seen) {
    for (;;) {
      wait_for_change(job_, seen);
      // One value holds the number of the job and the size of its team: a thread that is not in the
      // team may read it while the next job is being prepared.
      seen = job_.load(std::memory_order_acquire);
      const int64_t size = seen & ((1U << kSizeBits) - 1);
      if (rank < size) {
        (*function_)(ThreadTeam{.rank = rank, .size = size, .meeting = &barrier_});
        barrier_.wait();
      }
    }
  }

  std::mutex mutex_;
  int64_t workers_ = 0;
  TeamBarrier barrier_;
  std::atomic<uint32_t> job_{0};
  c10::function_ref<void(const ThreadTeam&)>* function_ = nullptr;
};

}  // namespace

void ThreadTeam::barrier() const {
  if (size > 1) {
    meeting->wait();
  }
}

IndexRange ThreadTeam::share(int64_t total, int64_t multiple) const {
  const int64_t units = (total + multiple - 1) / multiple;
  const auto bound = [&](int64_t part) { return std::min(total, units * part / size * multiple); };
  return {bound(rank), bound(rank + 1)};
}

void run_team(c10::function_ref<void(const ThreadTeam&)> function) {
  const int64_t size = std::min<int64_t>(at::get_num_threads(), WorkerPool::kMaxSize);
  static auto* const pool = new WorkerPool;  // never destroyed: its threads may still wait at exit
  const std::unique_lock lock(pool->mutex(), std::try_to_lock);
  if (size == 1 || !lock.owns_lock()) {
    function(ThreadTeam{});
    return;
  }
  pool->run(size, function);
}

}  // namespace softmoe
