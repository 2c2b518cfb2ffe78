#pragma once
/// The options of a training run, beside those of its model.

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "datasets/transforms.h"
#include "train/mixup.h"
#include "train/objective.h"
#include "train/optimizer_options.h"
#include "train/parallel_options.h"
#include "train/schedule.h"
#include "train/train_options.h"
#include "train/trainable.h"

namespace softmoe {

/// All options of a run that do not belong to its model.
struct RunOptions {
  DatasetOptions data;
  PreprocessOptions preprocess;
  LoaderOptions loader;
  SamplingOptions sampling;
  TrainOptions train;
  TrainableOptions trainable;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  ObjectiveOptions objectives;
  MixupOptions mixup;
  ParallelOptions parallel;

  bool operator==(const RunOptions&) const = default;
};

/// Calls `use` with a title and the options of each section of `options`, in the order in which
/// they are shown.
template <typename Use>
void for_each_section(RunOptions& options, const Use& use) {
  use("Data", options.data);
  use("Preprocessing", options.preprocess);
  use("Loader", options.loader);
  use("Sampling", options.sampling);
  use("Training", options.train);
  use("Parameters that learn", options.trainable);
  use("Optimizer", options.optimizer);
  use("Schedule", options.schedule);
  use("Loss", options.objectives.loss);
  use("Mixing of images", options.mixup);
  use("Losses of routers", options.objectives.router_losses);
  use("Several processes", options.parallel);
}

void describe(OptionTable& table, RunOptions& options);

/// The loader of the training batches of a run: shuffled by the run's seed, all of one size.
LoaderOptions training_loader(const RunOptions& options);

}  // namespace softmoe
