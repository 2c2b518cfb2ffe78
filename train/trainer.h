#pragma once
/// The training loop: it decides when what happens. model_update.h says how the model is updated;
/// hooks (hook.h) record, evaluate and save.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "train/batch_feed.h"
#include "train/hook.h"
#include "train/image_sizes.h"
#include "train/not_finite.h"
#include "train/run_folder.h"
#include "train/train_result.h"
#include "train/training_setup.h"
#include "train/training_state.h"

namespace softmoe {

/// Trains one model in one run folder. The same folder, options and data give the same weights,
/// losses and metrics files, bit for bit on one machine and number of threads, even if the run was
/// interrupted: every random number is keyed by (seed, purpose, step), and the checkpoint
/// holds the step, the optimizer's state and the sums behind the records.
class Trainer {
 public:
  /// The model of `setup` is on its device. All references must outlive the trainer. Resumes if
  /// `folder` has a checkpoint. Throws UsageError for options that contradict each other,
  /// InputError for data, or a state of an optimizer, that does not fit.
  Trainer(TrainingSetup setup, const Dataset& train_set, const Dataset& val_set, RunFolder& folder);

  /// Adds a hook, which is called after those that are there.
  void add_hook(std::unique_ptr<Hook> hook) { hooks_.push_back(std::move(hook)); }

  /// Trains to the end. Throws Interrupted after saving on Ctrl-C, InputError if a loss or gradient
  /// is not finite (after saving, unless --on-nan goes on), too many images are bad or the disk is
  /// full.
  TrainResult run();

 private:
  void add_hooks();
  std::function<void()> before_evaluated_batch();
  void adopt_optimizer_state();
  void begin();
  void resume();
  void pause();
  void evaluate();
  void end_if_out_of_patience();
  void save();
  void stop_if_interrupted();
  void upcycle_if_due();
  void prepare_model();
  void update();
  void leave_out(const ModelUpdate& update);
  [[noreturn]] void stop_at(const NotFinite& found, const std::string& text);
  int64_t next_place() const;
  uint64_t random_key() const;
  void follow_image_sizes();
  ModelUpdate next_update();
  void count_update(double loss, double seconds);
  void record(const ModelUpdate& update);
  Checkpoint checkpoint() const;

  const Dataset& train_set_;
  const Dataset& val_set_;
  RunFolder& folder_;
  BatchFeed feed_;
  TrainingState state_;
  std::vector<ImageSizeStage> image_sizes_;  // empty: one size
  std::vector<std::unique_ptr<Hook>> hooks_;
  std::vector<Batch> batches_;  // of the last update
  int64_t attempts_ = 0;        // to go on from update attempts_from_
  int64_t attempts_from_ = -1;
  double waited_before_ = 0.0;  // for data, before this sitting began
};

}  // namespace softmoe
