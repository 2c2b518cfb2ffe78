#pragma once
/// What instruction tuning is asked for.

#include <string>
#include <vector>

#include "core/options.h"
#include "datasets/tasks/task_mixture.h"

namespace softmoe {

/// Which tasks a model is tuned on, and what it starts from.
struct TuneOptions {
  std::vector<std::string> tasks = {};     ///< files of tasks, or names of sets of tasks
  std::vector<std::string> held_out = {};  ///< names of tasks or families
  std::string tasks_digest = {};           ///< task_digest() of what the names above stood for
  int64_t epoch_samples = 10'000;          ///< questions of an epoch
  int64_t val_samples = 100;               ///< questions of each task in an evaluation
  MixtureOptions mixture = {};
  int64_t open_answers = 4;       ///< of other questions, as further choices in training
  std::string tokenizer = "bpe";  ///< "bytes", "bpe" (learned), or a file
  std::string init = {};          ///< a checkpoint to start from

  bool operator==(const TuneOptions&) const = default;
};
void describe(OptionTable& table, TuneOptions& options);

}  // namespace softmoe
