#pragma once
/// How long a run is, and what is due when.

#include <cstdint>
#include <string>

#include "train/train_options.h"

namespace softmoe {

/// What one update is in the other units of lengths.
struct UpdateUnits {
  int64_t per_epoch = 1;  ///< updates of one epoch
  int64_t images = 1;     ///< of one update
};

/// The length of a run in updates. That of a run of limited time is an estimate until its last
/// update begins.
class RunLength {
 public:
  /// Throws ValueError if an epoch has no update.
  RunLength(const TrainOptions& options, const UpdateUnits& units);

  int64_t steps_per_epoch() const { return units_.per_epoch; }
  int64_t images_per_step() const { return units_.images; }
  /// Updates of the whole run; an unknown number is larger than every other.
  int64_t total_steps() const { return total_steps_; }
  /// "250", "about 250" or "an unknown number".
  std::string total_text() const;

  /// Returns true if the run is limited in time.
  bool is_timed() const { return max_time_.seconds > 0.0; }
  Duration max_time() const { return max_time_; }
  /// Fits the total to the speed of the first `step` updates, which took `seconds` and are not all:
  /// the run ends with the update that ends nearest to its time. Does nothing if the run is not
  /// limited in time.
  void fit(int64_t step, double seconds);
  /// Sets the total from an estimate of the updates that follow `step`. Does nothing if the run is
  /// not limited in time.
  void expect(int64_t step, double steps_left);
  /// Makes `step` the last update, or an earlier one if that is the last already.
  void end_at(int64_t step);

  /// Epochs after `step` updates, with the fraction of the last one.
  double epoch_of(int64_t step) const;
  /// The share of the whole run that the first `step` updates are, in [0, 1].
  double share_of(int64_t step) const;
  /// Returns true if an event that happens every `interval_epochs` > 0 happens after update `step`:
  /// after each update that completes an interval, and after the last update.
  bool is_due(double interval_epochs, int64_t step) const;
  /// Returns true if update `step` is recorded: every `interval`-th, and the last one.
  bool is_recorded(int64_t interval, int64_t step) const;

 private:
  /// Makes the update number `total`, rounded, the last one, or one between those after `step` and
  /// of the limit.
  void end_near(int64_t step, double total);

  UpdateUnits units_;
  Duration max_time_;
  int64_t limit_;  // of updates, whatever the time
  int64_t total_steps_;
};

}  // namespace softmoe
