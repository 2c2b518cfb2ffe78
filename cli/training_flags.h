#pragma once
/// What the commands that train have in common: their options and the run itself.

#include "cli/command_line.h"
#include "datasets/dataset.h"
#include "train/trainer.h"

namespace softmoe::cli {

/// The training and validation sets of a run, which have the same classes.
struct TrainingData {
  std::unique_ptr<Dataset> train;
  std::unique_ptr<Dataset> val;
};

/// The options of a training run beside those of the model.
struct TrainingFlags {
  DatasetOptions data;
  PreprocessOptions preprocess;
  LoaderOptions loader;
  TrainOptions train;
  TrainableOptions trainable;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  LossOptions loss;
  RouterLossOptions router_losses;

  /// Declares them, and `model` as the parts of the model.
  void declare(CommandLine& line, VitOptions& model);
  /// Opens the data sets and makes `model` and preprocessing fit them and each other: the classes
  /// of the data set and the losses of the router unless the user gave others. Throws InputError
  /// where the classes of both sets differ, UsageError where the user gave another input size.
  TrainingData prepare(const CommandLine& line, VitOptions& model);

 private:
  void fit_to_model(const CommandLine& line, const VitOptions& model);
};

/// What a run starts from.
struct TrainingStart {
  std::string model_name;
  PositionResize resize_mode = PositionResize::kBilinearCorners;  ///< to be stored
  VisionTransformer model{nullptr};
  Optimizer::State optimizer_state = {};  ///< of another run, as far as it fits
};

/// Trains a model in its run folder and writes the result to stdout and `--json`.
void run_training(const CommandLine& line, const TrainingFlags& flags, const TrainingData& data,
                  TrainingStart start);

}  // namespace softmoe::cli
