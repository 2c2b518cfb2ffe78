#include "eval/task_evaluation.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/pluralize.h"
#include "core/progress.h"
#include "runtime/autocast_guard.h"

namespace softmoe {
namespace {

/// Adds task results to a mean by name.
void add_to(TaskMean& mean, const TaskResult& task) {
  const auto before = static_cast<double>(mean.tasks);
  const auto now = before + 1;
  mean.accuracy = (mean.accuracy * before + task.accuracy()) / now;
  mean.chance = (mean.chance * before + task.chance) / now;
  ++mean.tasks;
}

Json mean_json(const TaskMean& mean) {
  return {{"name", valid_utf8(mean.name)},
          {"tasks", mean.tasks},
          {"accuracy", mean.accuracy},
          {"chance", mean.chance}};
}

Json task_json(const TaskResult& task, bool with_confusion) {
  Json json{{"name", valid_utf8(task.name)},
            {"family", valid_utf8(task.family)},
            {"kind", task.kind},
            {"held_out", task.held_out},
            {"examples", task.examples},
            {"accuracy", task.accuracy()},
            {"chance", task.chance},
            {"loss", task.loss}};
  if (with_confusion) {
    for (const auto& [expected, given] : task.confusion) {
      for (const auto& [answer, count] : given) {
        json["confusion"][valid_utf8(expected)][valid_utf8(answer)] = count;
      }
    }
  }
  return json;
}

/// Adds the answers to a batch of questions; sums stand in `chance` and `loss`.
void add_batch(TaskEvaluation& evaluation, const std::vector<TaskQuestion>& questions,
               const torch::Tensor& logits) {
  const auto exact = logits.to(torch::kFloat64).log_softmax(1).cpu();  // [batch, choices]
  const auto cells = exact.accessor<double, 2>();
  const auto best = exact.argmax(1).contiguous();  // [batch]
  for (size_t row = 0; row < questions.size(); ++row) {
    const auto& question = questions[row];
    auto& task = evaluation.tasks[static_cast<size_t>(question.task)];
    const auto place = best.const_data_ptr<int64_t>()[row];
    const double loss = -cells[static_cast<int64_t>(row)][question.answer];
    if (!std::isfinite(loss)) {
      throw InputError("the answers of the model", "finite numbers", "NaN or infinite ones");
    }
    ++task.examples;
    task.right += place == question.answer ? 1 : 0;
    task.chance += 1.0 / static_cast<double>(question.choices.size());
    task.loss += loss;
    ++task.confusion[question.choices[static_cast<size_t>(question.answer)]]
                    [question.choices[static_cast<size_t>(place)]];
  }
}

}  // namespace

TaskMean TaskEvaluation::mean(bool held_out) const {
  TaskMean mean{.name = held_out ? "held out" : "trained"};
  for (const auto& task : tasks) {
    if (task.held_out == held_out) {
      add_to(mean, task);
    }
  }
  return mean;
}

std::vector<TaskMean> TaskEvaluation::families() const {
  std::vector<TaskMean> means;
  for (const auto& task : tasks) {
    auto found = std::find_if(means.begin(), means.end(),
                              [&](const TaskMean& mean) { return mean.name == task.family; });
    if (found == means.end()) {
      means.push_back({.name = task.family});
      found = means.end() - 1;
    }
    add_to(*found, task);
  }
  return means;
}

ClassificationResult TaskEvaluation::result() const {
  const bool all_held_out =
      std::all_of(tasks.begin(), tasks.end(), [](const TaskResult& task) { return task.held_out; });
  ClassificationResult result;
  double count = 0;
  for (const auto& task : tasks) {
    if (task.held_out && !all_held_out) {
      continue;
    }
    count += 1;
    result.examples += task.examples;
    result.top1 += task.accuracy();
    result.loss += task.loss;
  }
  result.top1 /= std::max(1.0, count);
  result.loss /= std::max(1.0, count);
  result.top5 = result.top1;
  result.balanced_accuracy = result.top1;
  return result;
}

std::string means_text(const TaskEvaluation& evaluation) {
  std::string text;
  for (const bool held_out : {false, true}) {
    if (const auto mean = evaluation.mean(held_out); mean.tasks > 0) {
      text +=
          fmt::format("{}{} {:.2f} % of {} (chance {:.2f} %)", text.empty() ? "" : ", ", mean.name,
                      100 * mean.accuracy, pluralize(mean.tasks, "task"), 100 * mean.chance);
    }
  }
  return text;
}

Json to_json(const TaskEvaluation& evaluation, bool with_confusion) {
  Json json{{"tasks", Json::array()}, {"families", Json::array()}};
  for (const auto& task : evaluation.tasks) {
    json["tasks"].push_back(task_json(task, with_confusion));
  }
  for (const auto& family : evaluation.families()) {
    json["families"].push_back(mean_json(family));
  }
  for (const auto& [key, held_out] : {std::pair{"trained", false}, std::pair{"held_out", true}}) {
    if (const auto mean = evaluation.mean(held_out); mean.tasks > 0) {
      json[key] = mean_json(mean);
    }
  }
  return json;
}

TaskEvaluation evaluate_tasks(InstructionModel& model, const Tokenizer& tokenizer,
                              const TaskSet& tasks, const std::vector<bool>& held_out,
                              const Transform& transform, LoaderOptions loader,
                              const BatchLoopOptions& options) {
  const c10::InferenceMode inference;
  TaskEvaluation evaluation;
  for (int64_t number = 0; number < tasks.tasks(); ++number) {
    const auto& task = tasks.task(number);
    evaluation.tasks.push_back({.name = task.name,
                                .family = task.family_name(),
                                .kind = task.kind,
                                .held_out = held_out[static_cast<size_t>(number)]});
  }
  loader.shuffle = false;
  loader.drop_last = false;
  Loader batches(tasks, transform, loader);
  Progress progress(options.label, tasks.size(), "questions");
  int64_t done = 0;
  batches.start(/*epoch=*/0);
  while (auto batch = batches.next()) {
    if (options.before_batch) {
      options.before_batch();
    }
    const auto questions = questions_of(*batch, tasks);
    add_questions(*batch, questions, tokenizer, model->options().text.context);
    batch->images = batch->images.to(options.device);  // [batch, channels, height, width]
    move_questions(*batch, options.device);
    const AutocastGuard autocast(options.device, options.dtype);
    add_batch(evaluation, questions, answer_logits(model, *batch));
    done += std::ssize(questions);
    progress.update(done);
  }
  progress.finish();
  for (auto& task : evaluation.tasks) {
    const auto count = static_cast<double>(std::max<int64_t>(1, task.examples));
    task.chance /= count;
    task.loss /= count;
  }
  return evaluation;
}

}  // namespace softmoe
