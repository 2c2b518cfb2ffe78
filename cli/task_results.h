#pragma once
/// `softmoe eval` of models that follow instructions.

#include <string>
#include <vector>

#include "cli/command_line.h"
#include "datasets/loader.h"

namespace softmoe::cli {

/// Which tasks a model is asked.
struct TaskEvalOptions {
  std::vector<std::string> tasks;  ///< files, or sets that come along; empty: the checkpoint's
  int64_t questions = 200;         ///< of each task

  bool operator==(const TaskEvalOptions&) const = default;
};
void describe(OptionTable& table, TaskEvalOptions& options);

/// Prints the accuracy of `checkpoint` by task and family, and writes it to `--json`, where the
/// model is called `label`. Tasks that it was not trained on are marked as held out.
void eval_tasks_and_print(const CommandLine& line, const TaskEvalOptions& options,
                          const std::string& checkpoint, const std::string& label,
                          const std::string& amp_dtype, const LoaderOptions& loader);

}  // namespace softmoe::cli
