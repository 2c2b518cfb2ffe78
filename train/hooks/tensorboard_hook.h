#pragma once
/// The curves of a run for TensorBoard.

#include "train/hook.h"
#include "train/run_folder.h"

namespace softmoe {

/// Adds points to the event file of the run folder, which must outlive the hook.
class TensorBoardHook : public Hook {
 public:
  explicit TensorBoardHook(RunFolder& folder) : folder_(folder) {}

  void at_record(TrainingState& state, TrainingRecord& record) override;
  void at_evaluation(TrainingState& state) override;

 private:
  RunFolder& folder_;
};

}  // namespace softmoe
