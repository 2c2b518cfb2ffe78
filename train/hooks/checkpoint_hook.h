#pragma once
/// The checkpoints of a run.

#include <functional>

#include "train/hook.h"
#include "train/run_folder.h"

namespace softmoe {

/// Saves checkpoints in the run folder, which must outlive the hook. Comes after the hooks that
/// write records, so that no record is older than the checkpoint. A model with values that are not
/// finite is not saved, so that the last checkpoint stays good.
class CheckpointHook : public Hook {
 public:
  /// `collect` gives what a checkpoint holds now.
  CheckpointHook(RunFolder& folder, std::function<Checkpoint()> collect);

  void at_checkpoint(TrainingState& state) override;
  void at_save(TrainingState& state) override;
  void load_state(TrainingState& state, const Json& progress) override;

 private:
  void save(TrainingState& state, bool is_best);

  RunFolder& folder_;
  std::function<Checkpoint()> collect_;
  int64_t saved_step_ = -1;
};

}  // namespace softmoe
