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
struct RunParts {
  std::shared_ptr<Teacher> teacher = {};
  std::shared_ptr<FeatureMatcher> matcher = {};
  std::optional<MidUpcycling> upcycling = {};
  std::shared_ptr<ImageTextRun> image_text = {};
  std::shared_ptr<InstructionRun> instruction = {};
};

/// Trains with `parts` and writes the result to stdout and `--json`.
void train_and_print(const CommandLine& line, const RunOptions& options, const TrainingData& data,
                     TrainingStart start, RunParts parts = {});

}  // namespace softmoe::cli
