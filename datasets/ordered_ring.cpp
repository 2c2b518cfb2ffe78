#include "datasets/ordered_ring.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace softmoe {

OrderedRing::OrderedRing(int64_t first, int64_t end, int64_t workers, int64_t places,
                         Produce produce)
    : end_(end),
      produce_(std::move(produce)),
      places_(static_cast<size_t>(places)),
      next_(first),
      released_(first) {
  TORCH_CHECK_VALUE(workers > 0 && places > 0, "OrderedRing: expected workers and places, found ",
                    workers, " and ", places);
  for (int64_t i = 0; i < std::min(workers, end - first); ++i) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) {
        throw InputError("the system gives no thread that prepares images; --workers 0 needs none");
      }
      break;  // the others do the work
    }
  }
}

OrderedRing::~OrderedRing() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  room_.notify_all();
  for (auto& thread : threads_) {
    thread.join();
  }
}

void OrderedRing::wait(int64_t index) {
  std::unique_lock lock(mutex_);
  auto& place = place_of(index);
  ready_.wait(lock, [&place] { return place.is_ready; });
  if (place.error) {
    std::rethrow_exception(place.error);
  }
}

void OrderedRing::release(int64_t index) {
  {
    const std::lock_guard lock(mutex_);
    place_of(index) = {};
    released_ = index + 1;
  }
  room_.notify_one();
}

void OrderedRing::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    room_.wait(lock, [this] {
      return stopping_ || next_ >= end_ || next_ < released_ + std::ssize(places_);
    });
    if (stopping_ || next_ >= end_) {
      return;
    }
    const int64_t index = next_++;
    lock.unlock();
    std::exception_ptr error;
    try {
      produce_(index);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    place_of(index) = {.is_ready = true, .error = error};
    ready_.notify_one();
  }
}

}  // namespace softmoe
