#include "train/instruction_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "checkpoints/image_tower.h"
#include "checkpoints/load_into.h"
#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "datasets/tasks/task_file.h"
#include "text/tokenizers.h"
#include "train/optimizers.h"
#include "train/run_vocabulary.h"
#include "train/training_data.h"

namespace softmoe {
namespace {

/// Entries of a vocabulary that is learned from tasks, unless the user says otherwise.
constexpr int64_t kTaskVocabulary = 2048;
/// Questions that a vocabulary, and the length of texts, are learned from.
constexpr int64_t kReadQuestions = 5000;
/// Longer than any text of a task.
constexpr int64_t kWholeText = 4096;

/// Calls `use` with the texts of questions and answers of some samples of `tasks`.
template <typename Use>
void for_each_task_text(const TaskSet& tasks, const Use& use) {
  const auto count = std::min(tasks.size(), kReadQuestions);
  for (int64_t number = 0; number < count; ++number) {
    const auto question = tasks.question(number * tasks.size() / count);
    use(question.text);
    for (const auto& answer : question.choices) {
      use(answer);
    }
  }
}

/// Tokens that the longest text of `tasks` needs, with some to spare.
int64_t longest_text(const TaskSet& tasks, const Tokenizer& tokenizer) {
  if (tokenizer.reads_padding()) {
    return tokenizer.usual_tokens();
  }
  int64_t most = 0;
  for_each_task_text(tasks, [&](const std::string& text) {
    most = std::max(most, std::ssize(tokenizer.encode(text, kWholeText)));
  });
  constexpr int64_t kStep = 16;
  return (most + most / 4) / kStep * kStep + kStep;
}

/// Throws UsageError for options of a run that do not go with questions.
void check_tuning(const RunOptions& run) {
  const auto refuse = [](bool is_given, const std::string& flag, const std::string& expected) {
    if (is_given) {
      throw UsageError(flag, expected + " in softmoe tune", "another value");
    }
  };
  refuse(run.train.model_ema, "--model-ema", "no averages");
  refuse(!run.train.image_size_schedule.empty(), "--image-size-schedule", "one size");
  refuse(!run.train.fit_memory.empty(), "--fit-memory", "no limit");
  refuse(run.optimizer.layer_decay != 1.0, "--layer-decay", "1");
  refuse(run.optimizer.sam_rho != 0.0, "--sam-rho", "0");
  refuse(run.objectives.loss.loss != "softmax", "--loss", "softmax");
  refuse(run.objectives.loss.smoothing != 0.0, "--smoothing", "0");
  refuse(run.preprocess.augment.aug_repeats > 1, "--aug-repeats", "0 or 1");
}

/// Warms up unless the user says otherwise: at the full rate from the first update on, tasks that
/// compare words with what is seen stay at chance.
void fit_warmup(RunOptions& run, const std::set<std::string>& keep) {
  for (const auto* const name : {"warmup-epochs", "warmup-steps", "warmup-examples", "warmup-time",
                                 "max-time", "max-steps", "max-examples"}) {
    if (keep.contains(name)) {
      return;
    }
  }
  run.schedule.warmup_epochs = std::min(0.5, 0.1 * run.train.epochs);
}

/// Fits the options of a run to its model. Pictures are seen as a whole and unmirrored unless the
/// user says otherwise, since questions ask for sides and numbers.
void fit_run(RunOptions& run, const VitOptions& image, const std::set<std::string>& keep) {
  fit_optimizer(run.optimizer, keep);
  fit_router_losses(run.objectives.router_losses, image, keep);
  if (!keep.contains("hflip")) {
    run.preprocess.hflip = 0.0;
  }
  for (const auto& [name, crop] : {std::pair{"train-crop-mode", &run.preprocess.train_crop},
                                   std::pair{"crop-mode", &run.preprocess.crop}}) {
    if (!keep.contains(name)) {
      *crop = CropMode::kNone;
    }
  }
  fit_preprocessing(run.preprocess, image);
  fit_warmup(run, keep);
}

std::vector<KnownTask> known_tasks(const TaskParts& parts) {
  std::vector<KnownTask> tasks;
  for (const auto& task : parts.trained) {
    tasks.push_back({.options = task, .held_out = false});
  }
  for (const auto& task : parts.held_out) {
    tasks.push_back({.options = task, .held_out = true});
  }
  return tasks;
}

/// Opens both sets of `parts`, with pictures of `side` pixels.
void open_tasks(InstructionRun& run, const TaskParts& parts, const TuneOptions& tune, int64_t side,
                int64_t seed) {
  run.train_tasks =
      std::make_shared<TaskSet>(parts.trained, TaskSetOptions{.train = true,
                                                              .samples = tune.epoch_samples,
                                                              .side = side,
                                                              .seed = static_cast<uint64_t>(seed),
                                                              .mixture = tune.mixture});
  auto all = parts.trained;
  all.insert(all.end(), parts.held_out.begin(), parts.held_out.end());
  run.val_tasks = std::make_shared<TaskSet>(
      all, TaskSetOptions{.train = false, .samples = tune.val_samples, .side = side});
}

/// Sets the weights of `model` to those of `start`.
void load_start(InstructionModel& model, TuneStart start, const std::string& checkpoint) {
  if (start.tuned) {
    load_into(*model, named_tensors(*start.tuned->model), checkpoint);
  } else if (start.image) {
    auto weights = without_heads(std::move(start.image->weights));
    weights.erase("dist_token");
    load_into(*model->image, weights, checkpoint);
  }
}

}  // namespace

void InstructionRun::complete(Batch& batch, const torch::Device& device) const {
  add_questions(batch, questions_of(batch, *train_tasks), *tokenizer,
                description.options.text.context, open_answers);
  move_questions(batch, device);
}

std::vector<bool> InstructionRun::held_out() const {
  std::vector<bool> held_out;
  for (const auto& task : description.tasks) {
    held_out.push_back(task.held_out);
  }
  return held_out;
}

TaskParts held_out_apart(std::vector<TaskOptions> tasks, const std::vector<std::string>& held_out) {
  std::set<std::string> used;
  TaskParts parts;
  for (auto& task : tasks) {
    bool is_held_out = false;
    for (const auto& name : held_out) {
      if (name == task.name || name == task.family_name()) {
        is_held_out = true;
        used.insert(name);
      }
    }
    (is_held_out ? parts.held_out : parts.trained).push_back(std::move(task));
  }
  for (const auto& name : held_out) {
    if (!used.contains(name)) {
      throw UsageError("--held-out", "names of tasks or families",
                       "'" + printable_text(name) + "', which no task has");
    }
  }
  if (parts.trained.empty()) {
    throw UsageError(held_out.empty() ? "--tasks" : "--held-out", "a task that is left to train",
                     "none");
  }
  return parts;
}

std::string task_digest(const TaskParts& tasks) {
  std::string text;
  for (const auto& task : known_tasks(tasks)) {
    text += json_text(to_json(task.options)) + (task.held_out ? " held out\n" : "\n");
  }
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

TuneStart read_tune_start(const std::string& checkpoint) {
  TuneStart start;
  if (checkpoint.empty()) {
    return start;
  }
  if (is_instruction_checkpoint(checkpoint)) {
    start.tuned = load_instruction(checkpoint);
  } else {
    start.image = open_weights(checkpoint);
  }
  return start;
}

InstructionOptions tuned_options(const TuneStart& start, const VitOptions& image) {
  if (start.tuned) {
    return start.tuned->description.options;
  }
  return instruction_options(start.image ? start.image->description.options : image);
}

std::shared_ptr<InstructionRun> instruction_run(const std::string& name, InstructionOptions model,
                                                TuneStart start, TuneOptions& tune, RunOptions& run,
                                                const std::set<std::string>& keep) {
  check_tuning(run);
  const auto parts = held_out_apart(read_tasks(tune.tasks), tune.held_out);
  const auto digest = task_digest(parts);
  if (!tune.tasks_digest.empty() && tune.tasks_digest != digest) {
    throw UsageError("--tasks", "tasks with the digest " + tune.tasks_digest, digest);
  }
  tune.tasks_digest = digest;
  auto result = std::make_shared<InstructionRun>();
  result->open_answers = tune.open_answers;
  const auto side = std::max(model.image.image_height(), model.image.image_width());
  open_tasks(*result, parts, tune, side, run.train.seed);
  if (start.tuned) {
    const auto& stored = start.tuned->description.tokenizer;
    result->tokenizer = make_tokenizer(stored.kind, stored.data, tune.init);
  } else {
    result->tokenizer = run_tokenizer(
        tune.tokenizer, keep.contains("text-vocab-size") ? model.text.vocab_size : kTaskVocabulary,
        [&](const auto& use) { for_each_task_text(*result->train_tasks, use); });
    fit_vocabulary(model.text, *result->tokenizer, keep);
    if (!keep.contains("text-context")) {
      model.text.context = longest_text(*result->val_tasks, *result->tokenizer);
    }
  }
  validate(model);
  check_answers(*result->val_tasks, *result->tokenizer, model.text.context);
  fit_run(run, model.image, keep);
  result->model = make_instruction_model(model, run.train.seed);
  load_start(result->model, std::move(start), tune.init);
  result->description = {
      .name = name,
      .options = model,
      .preprocess = run.preprocess,
      .tokenizer = {std::string(result->tokenizer->kind()), result->tokenizer->data()},
      .tasks = known_tasks(parts),
      .answers = result->val_tasks->answer_words(),
      .picture_side = side};
  log_line(fmt::format(
      "{} to learn{}", pluralize(std::ssize(parts.trained), "task"),
      parts.held_out.empty() ? "" : fmt::format(", {} held out", parts.held_out.size())));
  return result;
}

TrainingStart start_of(const InstructionRun& run) {
  return {.model_name = run.description.name, .model = run.model->image};
}

TaskEvaluation evaluate_instruction(InstructionRun& run, const Transform& transform,
                                    const LoaderOptions& loader, const BatchLoopOptions& loop) {
  run.model->eval();
  auto evaluation = evaluate_tasks(run.model, *run.tokenizer, *run.val_tasks, run.held_out(),
                                   transform, loader, loop);
  run.model->train();
  return evaluation;
}

}  // namespace softmoe
