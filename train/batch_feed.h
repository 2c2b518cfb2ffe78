#pragma once
/// The training batches of a run.

#include <cstdint>
#include <memory>

#include "core/options.h"
#include "datasets/loader.h"
#include "train/mixup.h"

namespace softmoe {

/// Batches by their number in the run, over all its epochs: a batch does not depend on which
/// batches were taken before. An epoch holds whole updates; the rest of the set is left out of it.
class BatchFeed {
 public:
  /// Loads `set`, which must outlive the feed, with `options` (which drop incomplete batches) and
  /// moves batches to `device`, where `mixup` mixes them, for a model of `classes`. Throws
  /// InputError if the set has less than `batches_per_update`, UsageError for options that
  /// contradict each other.
  BatchFeed(const Dataset& set, const Transform& transform, const LoaderOptions& options,
            int64_t batches_per_update, const torch::Device& device, const MixupOptions& mixup = {},
            int64_t classes = 0);

  int64_t updates_per_epoch() const { return batches_per_epoch_ / batches_per_update_; }

  /// Transforms the images of all batches from now on by `transform`.
  void set_transform(const Transform& transform);

  /// Batch `number` >= 0. Those that follow each other are prepared ahead. Throws what
  /// Loader::next() throws.
  Batch take(int64_t number);
  /// Seconds that take() has waited for the loader so far.
  double waited_seconds() const { return waited_seconds_; }

  /// The images that could not be read so far, for checkpoints.
  Json bad_images() const;
  void restore_bad_images(const Json& images);

 private:
  const Dataset& set_;
  LoaderOptions options_;
  std::unique_ptr<Loader> loader_;
  int64_t batches_per_update_;
  int64_t batches_per_epoch_;
  torch::Device device_;
  MixupOptions mixup_;
  int64_t classes_;
  int64_t next_ = -1;  // number of the batch that the loader gives next
  double waited_seconds_ = 0.0;
};

}  // namespace softmoe
