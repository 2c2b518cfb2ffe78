#pragma once
/// Hooks: what happens beside the updates of a training run. The loop (train/trainer.h) decides
/// when something is due and then calls all hooks in their order.

#include "train/model_update.h"
#include "train/routing_monitor.h"
#include "train/training_state.h"

namespace softmoe {

/// What is recorded of the updates since the record before.
struct TrainingRecord {
  const ModelUpdate& update;  ///< the last one
  double mean_loss;           ///< over all of them
  ModelRouting routing = {};  ///< of the last update; empty for dense models
};

/// Work that belongs to moments of a run. Every function does nothing unless it is overridden; what
/// it throws ends the run.
class Hook {
 public:
  Hook() = default;
  virtual ~Hook() = default;
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;

  /// After every update.
  virtual void after_update(TrainingState& /*state*/, const ModelUpdate& /*update*/) {}
  /// After updates that are recorded, following after_update(): every `log_interval` updates, and
  /// after the last one. A hook may complete the record for the hooks after it.
  virtual void at_record(TrainingState& /*state*/, TrainingRecord& /*record*/) {}
  /// Every `eval_interval` epochs, and after the last update.
  virtual void at_evaluation(TrainingState& /*state*/) {}
  /// Every `checkpoint_interval` epochs, and after every evaluation that is the best so far.
  virtual void at_checkpoint(TrainingState& /*state*/) {}
  /// When training that is not saved might be lost: before an evaluation, and before a run ends
  /// that the user has interrupted or that cannot go on.
  virtual void at_save(TrainingState& /*state*/) {}
  /// At the end of the run.
  virtual void at_end(TrainingState& /*state*/) {}

  /// Adds to the "progress" of a checkpoint what the hook needs to continue.
  virtual void save_state(const TrainingState& /*state*/, Json& /*progress*/) const {}
  /// Continues from the "progress" of a checkpoint, which may be of an earlier version.
  virtual void load_state(TrainingState& /*state*/, const Json& /*progress*/) {}
};

}  // namespace softmoe
