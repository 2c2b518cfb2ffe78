#pragma once
/// Results that threads produce ahead of their use, and that are used in their order.

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace softmoe {

/// Threads that produce items ahead of one consumer, who takes them in the order of their indices.
/// Each item has a place of the ring, `index % places`, from the beginning of its production until
/// it is released, so no more than `places` items are in work or ready.
class OrderedRing {
 public:
  /// Makes the item `index`; called by several threads at once.
  using Produce = std::function<void(int64_t index)>;

  /// Begins to produce the items [first, end) in `workers` threads, or as many as the system gives;
  /// throws InputError if it gives none. All counts must be positive.
  OrderedRing(int64_t first, int64_t end, int64_t workers, int64_t places, Produce produce);
  /// Waits for the items that are in work; no others are begun.
  ~OrderedRing();
  OrderedRing(const OrderedRing&) = delete;
  OrderedRing& operator=(const OrderedRing&) = delete;

  /// Waits for the item `index`; throws what its production threw.
  void wait(int64_t index);

  /// Frees the place of the item `index`, which is the next one in order.
  void release(int64_t index);

 private:
  struct Place {
    bool is_ready = false;
    std::exception_ptr error;
  };

  void run();
  Place& place_of(int64_t index) {
    return places_[static_cast<size_t>(index % std::ssize(places_))];
  }

  const int64_t end_;
  const Produce produce_;
  std::mutex mutex_;  // guards what follows except threads_
  std::condition_variable room_;
  std::condition_variable ready_;
  std::vector<Place> places_;
  int64_t next_;      // item that is begun next
  int64_t released_;  // first item that is not released
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace softmoe
