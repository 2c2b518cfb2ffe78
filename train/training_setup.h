#pragma once
/// What defines a training run.

#include <string>

#include "train/run_options.h"
#include "train/training_start.h"

namespace softmoe {

/// Everything that defines a run but its data sets.
struct TrainingSetup {
  TrainingStart start;
  RunOptions options;
  std::string command = "train";  ///< of the program, for messages
  torch::Device device = torch::kCPU;
  /// All options by name: they must agree when a run resumes. Null: see complete_config().
  Json config = {};
  std::string config_text = {};  ///< `config` as a config file
};

/// Makes `config` and `config_text` of the options of the model and of the run if they are missing.
void complete_config(TrainingSetup& setup);

}  // namespace softmoe
