#include "datasets/loader.h"

#include <c10/util/Exception.h>

#include <mutex>
#include <opencv2/core/utility.hpp>

#include "datasets/batch_maker.h"
#include "datasets/ordered_ring.h"

namespace softmoe {
namespace {

// A thread takes at least this many samples at once, so that it rarely locks even if images are
// tiny.
constexpr int64_t kMinChunk = 16;

}  // namespace

/// Batches in work. Each is made in chunks of rows, by several threads; all chunks of an epoch go
/// through one ring in order, so that the first batches are ready first.
class Loader::Work {
 public:
  Work(const Dataset& dataset, Transform transform, const LoaderOptions& options)
      : maker_(dataset, std::move(transform), options), options_(options) {
    const int64_t rows = options.share.max_rows(options.batch_size);
    const int64_t of_worker = rows / std::max<int64_t>(1, options.workers);
    chunk_ = std::clamp(of_worker, std::min(kMinChunk, rows), rows);
    chunks_per_batch_ = (rows + chunk_ - 1) / chunk_;
    // The workers are the parallelism; OpenCV's own threads would compete with training.
    cv::setNumThreads(1);
  }

  int64_t batches_per_epoch() const { return maker_.batches_per_epoch(); }
  const std::vector<BadImage>& bad_images() const { return maker_.bad_images(); }
  void restore_bad_images(std::vector<BadImage> images) {
    maker_.restore_bad_images(std::move(images));
  }

  void start(int64_t epoch, int64_t first_batch) {
    TORCH_CHECK_VALUE(epoch >= 0 && first_batch >= 0, "Loader: epoch ", epoch, ", batch ",
                      first_batch);
    ring_.reset();
    maker_.set_epoch(epoch);
    next_batch_ = first_batch;
    started_ = true;
    if (options_.workers == 0) {
      return;
    }
    slots_.clear();
    for (int64_t i = 0; i < options_.prefetch; ++i) {
      slots_.push_back(new_slot());
    }
    ring_ = std::make_unique<OrderedRing>(
        first_batch * chunks_per_batch_, batches_per_epoch() * chunks_per_batch_, options_.workers,
        options_.prefetch * chunks_per_batch_, [this](int64_t chunk) { make_chunk(chunk); });
  }

  std::optional<Batch> next() {
    TORCH_CHECK_VALUE(started_, "Loader: next() before start()");
    while (next_batch_ < batches_per_epoch()) {
      auto batch = options_.workers == 0 ? make_here() : wait_for_batch();
      if (batch.labels.size(0) > 0) {
        return batch;
      }
    }
    return std::nullopt;
  }

 private:
  /// A batch in work: batch b is in slot b % prefetch until next() takes it.
  struct Slot {
    std::once_flag begun;
    PendingBatch batch;
    std::vector<std::vector<BadPlace>> bad;  // by chunk
  };

  std::unique_ptr<Slot> new_slot() const {
    auto slot = std::make_unique<Slot>();
    slot->bad.resize(static_cast<size_t>(chunks_per_batch_));
    return slot;
  }
  std::unique_ptr<Slot>& slot_of(int64_t batch) {
    return slots_[static_cast<size_t>(batch % std::ssize(slots_))];
  }

  Batch make_here() {
    auto batch = maker_.start_batch(next_batch_++);
    auto bad = maker_.fill(batch, 0, batch.rows);
    return maker_.finish(std::move(batch), std::move(bad));
  }

  /// Makes the chunk with this number, counted over the batches of the epoch.
  void make_chunk(int64_t number) {
    auto& slot = *slot_of(number / chunks_per_batch_);
    std::call_once(slot.begun, [&] {  // memory is taken by the thread that comes first
      slot.batch = maker_.start_batch(number / chunks_per_batch_);
    });
    const int64_t chunk = number % chunks_per_batch_;
    const int64_t begin = std::min(chunk * chunk_, slot.batch.rows);
    const int64_t end = std::min(begin + chunk_, slot.batch.rows);
    slot.bad[static_cast<size_t>(chunk)] = maker_.fill(slot.batch, begin, end);
  }

  Batch wait_for_batch() {
    const int64_t first = next_batch_ * chunks_per_batch_;
    const int64_t end = first + chunks_per_batch_;
    try {
      for (int64_t chunk = first; chunk < end; ++chunk) {
        ring_->wait(chunk);
      }
    } catch (...) {
      ring_.reset();
      next_batch_ = batches_per_epoch();
      throw;
    }
    const auto done = std::exchange(slot_of(next_batch_), new_slot());
    ++next_batch_;
    for (int64_t chunk = first; chunk < end; ++chunk) {
      ring_->release(chunk);
    }
    std::vector<BadPlace> bad;
    for (const auto& of_chunk : done->bad) {
      bad.insert(bad.end(), of_chunk.begin(), of_chunk.end());
    }
    return maker_.finish(std::move(done->batch), std::move(bad));
  }

  BatchMaker maker_;
  LoaderOptions options_;
  int64_t chunk_ = 1;  // rows
  int64_t chunks_per_batch_ = 1;
  int64_t next_batch_ = 0;  // that the caller gets
  bool started_ = false;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::unique_ptr<OrderedRing> ring_;  // last: its threads use all that stands above
};

void describe(OptionTable& table, LoaderOptions& options) {
  table.add("batch-size", options.batch_size, "images that are computed together",
            {.unit = "images", .min = 1, .max = kMaxBatch});
  table.add("workers", options.workers,
            "threads that prepare batches; 0: the training thread does it",
            {.unit = "threads", .min = 0, .max = kMaxWorkers});
  table.add("prefetch", options.prefetch, "batches that are prepared ahead",
            {.unit = "batches", .min = 1, .max = 10'000});
  table.add(
      "max-bad-images", options.max_bad_images,
      "share of the images that may be unreadable, one at least unless it is 0; each is named and "
      "left out",
      {.min = 0, .max = 1});
}

Loader::Loader(const Dataset& dataset, Transform transform, LoaderOptions options)
    : work_(std::make_unique<Work>(dataset, std::move(transform), options)) {}
Loader::~Loader() = default;

int64_t Loader::batches_per_epoch() const { return work_->batches_per_epoch(); }
void Loader::start(int64_t epoch, int64_t first_batch) { work_->start(epoch, first_batch); }
std::optional<Batch> Loader::next() { return work_->next(); }
const std::vector<BadImage>& Loader::bad_images() const { return work_->bad_images(); }
void Loader::restore_bad_images(std::vector<BadImage> images) {
  work_->restore_bad_images(std::move(images));
}

}  // namespace softmoe
