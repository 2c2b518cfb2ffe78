#pragma once
/// How well a model that follows instructions answers the questions of tasks.

#include <map>
#include <string>
#include <vector>

#include "eval/batch_loop.h"
#include "eval/metrics.h"
#include "eval/question_batch.h"

namespace softmoe {

/// The answers to the questions of one task.
struct TaskResult {
  std::string name{};
  std::string family{};
  std::string kind{};
  bool held_out = false;  ///< not trained
  int64_t examples = 0;
  int64_t right = 0;
  double chance = 0.0;  ///< mean over questions of 1 / number of choices
  double loss = 0.0;    ///< mean cross-entropy over the choices
  /// How often an answer was given, by the right answer in words.
  std::map<std::string, std::map<std::string, int64_t>> confusion = {};

  double accuracy() const {
    return examples > 0 ? static_cast<double>(right) / static_cast<double>(examples) : 0.0;
  }
};

/// Means over the tasks of a family, or of all.
struct TaskMean {
  std::string name;
  int64_t tasks = 0;
  double accuracy = 0.0;
  double chance = 0.0;
};

/// The answers to the questions of several tasks.
struct TaskEvaluation {
  std::vector<TaskResult> tasks;

  /// The mean over tasks with TaskResult::held_out as given; nothing counts if there are none.
  TaskMean mean(bool held_out) const;
  /// Means of all families, in the order of their first tasks.
  std::vector<TaskMean> families() const;
  /// `top1` is the mean accuracy of the trained tasks (of all if all are held out), `loss` that of
  /// their losses.
  ClassificationResult result() const;
};

/// "trained 61.20 % of 12 tasks (chance 30.10 %), held out ...".
std::string means_text(const TaskEvaluation& evaluation);

/// All results by task and family; `with_confusion` adds the confusion in words.
Json to_json(const TaskEvaluation& evaluation, bool with_confusion);

/// Asks `model`, in evaluation mode, the questions of `tasks`, whose pictures `transform` prepares.
/// `held_out` says of each task if it was not trained. Throws InputError if a picture cannot be
/// read.
TaskEvaluation evaluate_tasks(InstructionModel& model, const Tokenizer& tokenizer,
                              const TaskSet& tasks, const std::vector<bool>& held_out,
                              const Transform& transform, LoaderOptions loader,
                              const BatchLoopOptions& options);

}  // namespace softmoe
