#pragma once
/// The flags and the output of the commands that train.

#include <memory>
#include <optional>

#include "cli/command_line.h"
#include "train/run_training.h"

namespace softmoe::cli {

/// Declares the options of a run and, before them, `model` as the parts of the model.
void add_training_flags(CommandLine& line, RunOptions& options, VitOptions& model);

/// Opens the data sets and fits to them, and to each other, the options that the user did not give.
TrainingData prepare_training(const CommandLine& line, RunOptions& options, VitOptions& model);

/// What a run learns from beside labels.
struct RunTeachers {
  std::shared_ptr<Teacher> teacher = {};
  std::shared_ptr<FeatureMatcher> matcher = {};
  std::shared_ptr<ImageTextRun> image_text = {};
};

/// Trains, with `teachers` if the options of the run have distillation, with MoE layers from the
/// moment of `upcycling` on if it is given, and writes the result to
/// stdout and `--json`.
void train_and_print(const CommandLine& line, const RunOptions& options, const TrainingData& data,
                     TrainingStart start, RunTeachers teachers = {},
                     std::optional<MidUpcycling> upcycling = {});

}  // namespace softmoe::cli
