#pragma once
/// Lines of the log about a run.

#include "train/hook.h"

namespace softmoe {

/// Logs a line per record, unless a progress bar shows its numbers, and a line per evaluation. Says
/// once if a sitting mostly waits for its images.
class LogHook : public Hook {
 public:
  /// The share of the time from which on waiting for images is told of.
  static constexpr double kToldShare = 0.3;
  /// Updates after which it is looked at first: the first ones wait for workers that begin.
  static constexpr int64_t kFirstLook = 20;

  void after_update(TrainingState& state, const ModelUpdate& update) override;
  void at_record(TrainingState& state, TrainingRecord& record) override;
  void at_evaluation(TrainingState& state) override;

 private:
  bool told_of_waiting_ = false;
};

}  // namespace softmoe
