#include "cli/task_results.h"

#include <algorithm>

#include "cli/checkpoint_flags.h"
#include "cli/print_line.h"
#include "cli/task_table.h"
#include "datasets/tasks/task_file.h"
#include "eval/asked_images.h"
#include "eval/model_evaluation.h"
#include "eval/task_evaluation.h"

namespace softmoe::cli {
namespace {

/// The tasks to ask: those of files, or those that the model knows.
std::vector<TaskOptions> asked_tasks(const TaskEvalOptions& options,
                                     const std::vector<KnownTask>& known) {
  if (!options.tasks.empty()) {
    return read_tasks(options.tasks);
  }
  std::vector<TaskOptions> tasks;
  for (const auto& task : known) {
    tasks.push_back(task.options);
  }
  return tasks;
}

/// For each of `tasks`, true unless the model was trained on one that is equal.
std::vector<bool> not_trained(const std::vector<TaskOptions>& tasks,
                              const std::vector<KnownTask>& known) {
  std::vector<bool> result;
  for (const auto& task : tasks) {
    result.push_back(std::none_of(known.begin(), known.end(), [&](const KnownTask& other) {
      return !other.held_out && other.options == task;
    }));
  }
  return result;
}

}  // namespace

void describe(OptionTable& table, TaskEvalOptions& options) {
  table.add("tasks", options.tasks,
            "files of tasks or sets that come along, to ask a model of softmoe tune",
            {.unit = "file", .follows = "those that it was tuned with"});
  table.add("task-val", options.questions, "questions of each task",
            {.unit = "questions", .min = 1, .max = 1e7});
}

void eval_tasks_and_print(const CommandLine& line, const TaskEvalOptions& options,
                          const std::string& checkpoint, const std::string& label,
                          const std::string& amp_dtype, const LoaderOptions& loader) {
  const auto device = line.device();
  auto model = open_asked_model(checkpoint, device);
  const auto& description = model.description;
  const auto tasks = asked_tasks(options, description.tasks);
  const TaskSet set(
      tasks, {.train = false, .samples = options.questions, .side = description.picture_side});
  check_answers(set, *model.tokenizer, description.options.text.context);
  TaskEvaluation evaluation;
  compute_batches(device, loader.batch_size, [&] {
    evaluation = evaluate_tasks(
        model.model, *model.tokenizer, set, not_trained(tasks, description.tasks),
        model.transform(checkpoint), loader,
        {.device = device, .dtype = evaluation_dtype(amp_dtype, model.metadata, device)});
  });
  print_text(task_table(evaluation));
  Json document;
  document["label"] = label.empty() ? checkpoint_label(checkpoint) : label;
  document["checkpoint"] = checkpoint;
  document["model"] = description.name;
  document.update(to_json(evaluation, /*with_confusion=*/true));
  line.write_json(document);
}

}  // namespace softmoe::cli
