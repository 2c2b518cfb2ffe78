#pragma once
/// Lines of the log about a run.

#include "train/hook.h"

namespace softmoe {

/// Logs a line per record, unless a progress bar shows its numbers, and a line per evaluation.
class LogHook : public Hook {
 public:
  void at_record(TrainingState& state, TrainingRecord& record) override;
  void at_evaluation(TrainingState& state) override;
};

}  // namespace softmoe
