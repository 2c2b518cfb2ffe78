#pragma once
/// A training run under way.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "eval/metrics.h"
#include "eval/retrieval.h"
#include "parallel/gradient_reducer.h"
#include "train/data_identity.h"
#include "train/model_ema.h"
#include "train/optimizer.h"
#include "train/run_length.h"
#include "train/run_progress.h"
#include "train/schedule.h"
#include "train/trainable.h"
#include "train/training_setup.h"

namespace softmoe {

/// The last evaluation of a sitting.
struct Evaluation {
  int64_t step = -1;  ///< updates before it; -1: none yet
  ClassificationResult result;
  std::vector<ClassificationResult> averages = {};  ///< of TrainingState::ema, in their order
  std::optional<RetrievalResult> retrieval = {};    ///< of a run with captions
  std::optional<TaskEvaluation> tasks = {};         ///< of a run that tunes
  double train_loss = 0.0;                          ///< mean since the evaluation before
  bool is_best = false;                             ///< of the run so far
};

/// The work of one sitting, for rates. A run that is interrupted has several sittings.
struct Sitting {
  int64_t updates = 0;
  double seconds = 0.0;         ///< spent in updates
  double data_seconds = 0.0;    ///< of these, spent waiting for batches
  World::Traffic traffic = {};  ///< of these, sent by this process

  World::Traffic traffic_per_update() const;
};

/// What the loop keeps of a run and shows to its hooks.
struct TrainingState {
  TrainingSetup setup;  ///< with the model that is trained
  DataIdentity data;
  torch::Dtype compute_dtype;
  LearningShare learning;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<ModelEma> ema;             ///< null: no averages
  std::unique_ptr<GradientReducer> reducer;  ///< null: one process
  /// Of the experts of this process; null: no other process has them, or `reducer` has all.
  std::unique_ptr<GradientReducer> expert_reducer;
  RunLength length;
  Schedule schedule;
  RunProgress progress = {};
  Sitting sitting = {};
  Evaluation evaluation = {};
  int64_t image_size = 0;  ///< edge of the last training images if sizes change during the run
  Json routing = {};       ///< of the last record, as to_json() of ModelRouting; null: none

  const RunOptions& options() const { return setup.options; }
  VisionTransformer& model() { return setup.start.model; }

  /// Epochs after the updates done.
  double epoch() const { return length.epoch_of(progress.step); }
  /// The learning rate of the last update.
  double last_rate() const { return schedule.rate(progress.step - 1); }
  /// Fits the length and the schedule of a run of limited time to its speed so far.
  void fit_length();
  int64_t images_per_update() const;
  double images_per_second() const;  ///< in this sitting
  double data_share() const;         ///< share of this sitting's time that is spent on data
  /// Returns true if the model is to be upcycled before the next update.
  bool is_upcycling_due() const;
  /// Expected seconds of the updates that are left, if they take another time than those so far.
  std::optional<double> seconds_left() const;
};

/// The state of a run whose epochs have `updates_per_epoch` updates, before its first one: chooses
/// the parameters that learn and makes the optimizer. Throws UsageError for options that contradict
/// each other.
TrainingState make_training_state(TrainingSetup setup, DataIdentity data,
                                  int64_t updates_per_epoch);

/// Makes `model` the one that the run trains, with a new optimizer and new averages; these keep
/// their best scores.
void replace_model(TrainingState& state, VisionTransformer model);

/// The model with its description, the optimizer, the configuration, the data and the progress.
Checkpoint to_checkpoint(const TrainingState& state);

/// Continues from `checkpoint`, which was read from `path`. Throws UsageError that names the option
/// if the run had other options, InputError for other data and for tensors that do not fit.
void restore(TrainingState& state, const Checkpoint& checkpoint, const std::string& path);

}  // namespace softmoe
