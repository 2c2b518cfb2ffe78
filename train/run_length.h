#pragma once
/// How long a run is, and what is due when.

#include <cstdint>

#include "train/train_options.h"

namespace softmoe {

/// The length of a run in updates.
class RunLength {
 public:
  /// The length of a run whose epochs have `steps_per_epoch` > 0 updates.
  RunLength(const TrainOptions& options, int64_t steps_per_epoch);

  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  int64_t total_steps() const { return total_steps_; }

  /// Epochs after `step` updates, with the fraction of the last one.
  double epoch_of(int64_t step) const;
  /// Returns true if an event that happens every `interval_epochs` > 0 happens after update `step`:
  /// after each update that completes an interval, and after the last update.
  bool is_due(double interval_epochs, int64_t step) const;
  /// Returns true if update `step` is recorded: every `interval`-th, and the last one.
  bool is_recorded(int64_t interval, int64_t step) const;

 private:
  int64_t steps_per_epoch_;
  int64_t total_steps_;
};

}  // namespace softmoe
