#pragma once
/// Runs that learn to follow instructions: what `softmoe tune` adds to a training run.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoints/instruction_checkpoint.h"
#include "checkpoints/open_model.h"
#include "datasets/tasks/task_set.h"
#include "eval/task_evaluation.h"
#include "text/tokenizer.h"
#include "train/run_options.h"
#include "train/training_start.h"
#include "train/tune_options.h"

namespace softmoe {

/// What a run that tunes consists of beside its options.
struct InstructionRun {
  InstructionModel model{nullptr};  ///< whose image tower is TrainingStart::model
  InstructionDescription description;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const TaskSet> train_tasks;
  int64_t open_answers = 0;                  ///< TuneOptions::open_answers
  std::shared_ptr<const TaskSet> val_tasks;  ///< trained tasks, then those that are held out

  /// Adds questions and answers to a training batch, and moves them to `device`.
  void complete(Batch& batch, const torch::Device& device) const;
  /// For each of `val_tasks`, true if it is held out.
  std::vector<bool> held_out() const;
};

/// Tasks in two parts.
struct TaskParts {
  std::vector<TaskOptions> trained;
  std::vector<TaskOptions> held_out;
};

/// `tasks` with those apart whose name or family is in `held_out`. Throws UsageError for a name
/// that none has, and if nothing is left to train.
TaskParts held_out_apart(std::vector<TaskOptions> tasks, const std::vector<std::string>& held_out);

/// XXH3-64 of tasks, to notice other ones when a run resumes.
std::string task_digest(const TaskParts& tasks);

/// The checkpoint of `--init`, as far as it has been read.
struct TuneStart {
  std::optional<LoadedInstruction> tuned;
  std::optional<LoadedWeights> image;
};

/// Reads `checkpoint`; nothing if it is empty. Throws InputError that names it.
TuneStart read_tune_start(const std::string& checkpoint);

/// The options of a model whose image tower is `image`, or that of `start`.
InstructionOptions tuned_options(const TuneStart& start, const VitOptions& image);

/// Opens the tasks, sets their digest in `tune`, makes the tokenizer, fits `model` to it unless the
/// names of options are in `keep`, and makes a model called `name` with initial weights, or those
/// of `start`. Throws UsageError for options that contradict each other, InputError for bad files
/// and tasks without data.
std::shared_ptr<InstructionRun> instruction_run(const std::string& name, InstructionOptions model,
                                                TuneStart start, TuneOptions& tune, RunOptions& run,
                                                const std::set<std::string>& keep);

/// The start of a run of `run`.
TrainingStart start_of(const InstructionRun& run);

/// Asks the model of `run`, which is set to evaluation meanwhile, the questions for validation.
TaskEvaluation evaluate_instruction(InstructionRun& run, const Transform& transform,
                                    const LoaderOptions& loader, const BatchLoopOptions& loop);

}  // namespace softmoe
