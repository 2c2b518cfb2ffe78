#pragma once
/// The training loop: exact resume, evaluation, checkpoints, records.

#include <memory>
#include <string>
#include <vector>

#include "core/progress.h"
#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "datasets/transforms.h"
#include "eval/metrics.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/routing_monitor.h"
#include "train/run_folder.h"
#include "train/schedule.h"
#include "train/train_options.h"
#include "train/trainable.h"
#include "vit/position_embedding.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// Makes preprocessing give what a model takes: its channels, height and width.
void fit_preprocessing(PreprocessOptions& preprocess, const VitOptions& model);

/// Everything that defines a run but its data and initial weights.
struct TrainingRun {
  std::string model_name;
  PositionResize resize_mode = PositionResize::kBilinearCorners;  ///< for later image sizes
  VitOptions model;
  PreprocessOptions preprocess;
  TrainOptions train;
  TrainableOptions trainable;
  OptimizerOptions optimizer;
  /// State of another run's optimizer to begin with, as far as it fits; empty: none.
  Optimizer::State optimizer_state;
  ScheduleOptions schedule;
  LossOptions loss;
  RouterLossOptions router_losses;
  LoaderOptions loader;
  Json config;              ///< all resolved options by name: must agree when a run resumes
  std::string config_text;  ///< the same as a config file
};

/// How a run ended.
struct TrainResult {
  int64_t steps = 0;
  double best_top1 = 0.0;  ///< highest validation accuracy, in [0, 1]
  int64_t best_step = 0;
  ClassificationResult last;       ///< the last evaluation
  double train_seconds = 0.0;      ///< spent in updates, over all sittings
  double images_per_second = 0.0;  ///< of training, over all sittings
  LearningShare parameters;
  Json routing = {};  ///< of the last record, as to_json() of ModelRouting; null for dense models
};

Json to_json(const TrainResult& result);

/// Trains one model in one run folder. The same folder, options and data give the same weights,
/// losses and metrics files, bit for bit on one machine and number of threads, whether or not the
/// run was interrupted: every random number is keyed by (seed, purpose, step), and the checkpoint
/// holds the step, the optimizer's state and the sums behind the records.
class Trainer {
 public:
  /// `model` carries the initial weights. All references must outlive the trainer. Resumes where
  /// `folder` has a checkpoint.
  Trainer(VisionTransformer model, TrainingRun run, const Dataset& train_set,
          const Dataset& val_set, RunFolder& folder, torch::Device device);

  /// Trains to the end. Throws Interrupted after saving on Ctrl-C, InputError where the loss is not
  /// finite (the last good checkpoint stays), too many images are bad or the disk is full.
  TrainResult run();

 private:
  /// What a checkpoint keeps beside weights and optimizer.
  struct State {
    int64_t step = 0;  ///< updates done
    int64_t evaluated_step = -1;
    double interval_loss = 0.0;  ///< sum since the last record
    int64_t interval_updates = 0;
    double epoch_loss = 0.0;  ///< sum since the last evaluation
    int64_t epoch_updates = 0;
    double best_top1 = -1.0;
    int64_t best_step = 0;
    double train_seconds = 0.0;  ///< of all sittings; a record of the clock, nothing hangs on it
  };

  void adopt_optimizer_state();
  void begin();
  void resume();
  void check_same_run(const Json& metadata) const;
  void save(bool is_best);
  [[noreturn]] void stop_for_interrupt();
  Batch next_batch();
  double update(bool recorded);
  torch::Tensor batch_loss(const Batch& batch, bool recorded);
  void train_step();
  void record_interval(double loss, double gradient_norm);
  void record_routing(Json& metrics);
  bool evaluate();
  ClassificationResult evaluate_model();
  bool is_due(double interval_epochs, int64_t step) const;
  double epoch_of(int64_t step) const;
  double images_per_second() const;
  void show_progress(double loss);
  TrainResult result() const;

  VisionTransformer model_;
  TrainingRun run_;
  const Dataset& val_set_;
  RunFolder& folder_;
  torch::Device device_;
  torch::Dtype compute_dtype_;
  Transform train_transform_;
  Transform val_transform_;
  Loader loader_;
  LearningShare learning_;
  std::unique_ptr<Optimizer> optimizer_;
  RoutingMonitor monitor_;
  Json last_routing_;  // of the last record; null before the first
  int64_t steps_per_epoch_ = 0;
  int64_t total_steps_ = 0;
  std::unique_ptr<Schedule> schedule_;
  State state_;
  int64_t micro_step_ = 0;
  int64_t loader_epoch_ = -1;
  int64_t saved_step_ = -1;
  ClassificationResult last_evaluation_;
  std::unique_ptr<Progress> progress_;
  // Of this sitting alone, for rates.
  double sitting_seconds_ = 0.0;
  double data_seconds_ = 0.0;
  int64_t sitting_updates_ = 0;
};

}  // namespace softmoe
