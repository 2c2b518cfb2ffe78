#include "train/training_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "core/log.h"
#include "ops/compute_precision.h"
#include "train/optimizers.h"
#include "train/resume_rules.h"

namespace softmoe {
namespace {

int64_t images_of_update(const RunOptions& options) {
  return options.loader.batch_size * options.train.grad_accum_steps;
}

/// Fits both to the speed of the updates so far.
void fit_to_speed(RunLength& length, Schedule& schedule, const RunProgress& progress,
                  const std::optional<MidUpcycling>& upcycling) {
  if (length.is_timed() && progress.ended_max_time >= length.max_time().seconds) {
    length.end_at(progress.step);
    return;
  }
  if (!length.is_timed() || progress.step == 0 || progress.train_seconds <= 0.0) {
    return;
  }
  if (upcycling) {
    const auto left = forecast(*upcycling, length, progress);
    length.expect(progress.step, left.steps);
    schedule.fit(length, left.first_update, left.last_update);
    return;
  }
  length.fit(progress.step, progress.train_seconds);
  const double step_seconds = progress.train_seconds / static_cast<double>(progress.step);
  schedule.fit(length, step_seconds);
}

/// Says what it means that a run becomes longer.
void log_longer_run(const TrainingState& state, const Json& before) {
  auto train = state.options().train;
  option_table(train).from_json(
      {{"epochs", before.at("epochs")},
       {"max-steps", before.at("max-steps")},
       {"max-examples", before.value("max-examples", Json(train.max_examples))},
       {"max-time", before.value("max-time", Json(duration_text(train.max_time)))}},
      "the run");
  RunLength old_length(train, {.per_epoch = state.length.steps_per_epoch(),
                               .images = state.length.images_per_step()});
  Schedule old_schedule(state.options().schedule, old_length);
  fit_to_speed(old_length, old_schedule, state.progress, state.setup.upcycling);
  if (old_length.total_text() == state.length.total_text()) {
    return;
  }
  const int64_t step = state.progress.step;
  log_line(fmt::format(
      "the run becomes longer: {} updates instead of {}; from update {} on it follows the {} "
      "schedule of that length (lr {:.3g}, it was {:.3g} at that place); for one schedule from the "
      "beginning choose another --experiment",
      state.length.total_text(), old_length.total_text(), step + 1, state.options().schedule.sched,
      state.schedule.rate(step), old_schedule.rate(step)));
}

/// Chooses the parameters that learn, and counts them as one process has them.
LearningShare choose_learning(TrainingSetup& setup) {
  auto share = set_trainable(setup.model(), setup.options.trainable);
  if (setup.experts) {
    for (const auto& [name, tensor] : named_parameters(setup.model())) {
      const auto others = setup.experts->whole_size(name, tensor) - tensor.numel();
      share.total += others;
      share.learning += tensor.requires_grad() ? others : 0;
    }
  }
  return share;
}

/// The optimizer of all parameters of the run that learn.
std::unique_ptr<Optimizer> run_optimizer(TrainingSetup& setup) {
  auto parameters = named_parameters(setup.model());
  if (setup.matcher) {
    for (auto& parameter : named_parameters(*setup.matcher)) {
      parameters.push_back(std::move(parameter));
    }
  }
  auto optimizer = make_optimizer(parameters, setup.options.optimizer);
  if (setup.experts) {
    optimizer->set_parts(setup.experts->parts());
  }
  return optimizer;
}

/// What sums the gradients of parameters that all processes of the run have, or of the experts that
/// several have; null: nothing does.
std::unique_ptr<GradientReducer> run_reducer(TrainingSetup& setup, bool of_parts) {
  const auto* const experts = setup.experts.get();
  const auto world = !of_parts ? setup.world : experts ? experts->replicas() : World();
  if (world.is_alone()) {
    return nullptr;
  }
  std::vector<torch::Tensor> parameters;
  for (const auto& [name, tensor] : named_parameters(setup.model())) {
    const bool is_part = experts != nullptr && experts->is_part(name);
    if (tensor.requires_grad() && is_part == of_parts) {
      parameters.push_back(tensor);
    }
  }
  return std::make_unique<GradientReducer>(world, parameters,
                                           payload_dtype(setup.options.parallel.reduce_dtype));
}

/// Averages that begin with the weights of the run's model; null: none.
std::unique_ptr<ModelEma> run_averages(TrainingSetup& setup) {
  const auto& train = setup.options.train;
  return train.model_ema ? std::make_unique<ModelEma>(setup.model(), train.model_ema_decay,
                                                      train.model_ema_warmup)
                         : nullptr;
}

}  // namespace

World::Traffic Sitting::traffic_per_update() const {
  const int64_t count = std::max<int64_t>(1, updates);
  return {.exchanged = traffic.exchanged / count, .summed = traffic.summed / count};
}

int64_t TrainingState::images_per_update() const { return images_of_update(options()); }

double TrainingState::images_per_second() const {
  const auto images = static_cast<double>(sitting.updates * images_per_update());
  return sitting.seconds > 0 ? images / sitting.seconds : 0.0;
}

double TrainingState::data_share() const {
  return sitting.seconds > 0 ? sitting.data_seconds / sitting.seconds : 0.0;
}

void TrainingState::fit_length() { fit_to_speed(length, schedule, progress, setup.upcycling); }

bool TrainingState::is_upcycling_due() const {
  return setup.upcycling && progress.upcycled_step < 0 &&
         is_reached(setup.upcycling->moment, length, progress);
}

std::optional<double> TrainingState::seconds_left() const {
  if (setup.upcycling && progress.step > 0 && progress.train_seconds > 0.0) {
    return forecast(*setup.upcycling, length, progress).seconds;
  }
  return std::nullopt;
}

TrainingState make_training_state(TrainingSetup setup, DataIdentity data,
                                  int64_t updates_per_epoch) {
  complete_config(setup);
  const auto& options = setup.options;
  const auto dtype = tensor_dtype(compute_precision(options.train.amp_dtype, setup.device));
  setup.start.model->set_grad_checkpointing(options.train.grad_checkpointing);
  if (setup.image_text) {
    setup.image_text->model->set_grad_checkpointing(options.train.grad_checkpointing);
  }
  if (setup.instruction) {
    setup.instruction->model->set_grad_checkpointing(options.train.grad_checkpointing);
  }
  const auto learning = choose_learning(setup);
  auto optimizer = run_optimizer(setup);
  auto ema = run_averages(setup);
  auto reducer = run_reducer(setup, /*of_parts=*/false);
  auto expert_reducer = run_reducer(setup, /*of_parts=*/true);
  const RunLength length(options.train,
                         {.per_epoch = updates_per_epoch, .images = images_of_update(options)});
  const Schedule schedule(options.schedule, length);
  return {.setup = std::move(setup),
          .data = std::move(data),
          .compute_dtype = dtype,
          .learning = learning,
          .optimizer = std::move(optimizer),
          .ema = std::move(ema),
          .reducer = std::move(reducer),
          .expert_reducer = std::move(expert_reducer),
          .length = length,
          .schedule = schedule};
}

void replace_model(TrainingState& state, VisionTransformer model) {
  const auto& options = state.options();
  model->to(state.setup.device);
  model->set_grad_checkpointing(options.train.grad_checkpointing);
  state.learning = set_trainable(*model, options.trainable);
  state.setup.start.model = std::move(model);
  state.optimizer = run_optimizer(state.setup);
  auto ema = run_averages(state.setup);
  for (size_t index = 0; ema && index < ema->averages().size(); ++index) {
    ema->averages()[index].best_score = state.ema->averages()[index].best_score;
  }
  state.ema = std::move(ema);
}

namespace {

/// The key of the classes of a run of images and texts, or of the names of tasks.
constexpr const char* kClassesKey = "classes";

/// The model with its description.
Checkpoint model_part(const TrainingState& state) {
  const auto& start = state.setup.start;
  if (const auto& run = state.setup.image_text) {
    auto checkpoint = image_text_checkpoint(run->model, run->description);
    checkpoint.metadata[kClassesKey] = state.data.class_names;
    checkpoint.metadata["tokenizer_digest"] = tokenizer_digest(run->description.tokenizer);
    return checkpoint;
  }
  if (const auto& run = state.setup.instruction) {
    auto checkpoint = instruction_checkpoint(run->model, run->description);
    checkpoint.metadata[kClassesKey] = state.data.class_names;
    checkpoint.metadata["tokenizer_digest"] = tokenizer_digest(run->description.tokenizer);
    return checkpoint;
  }
  Checkpoint checkpoint;
  checkpoint.metadata =
      to_metadata({.name = start.model_name,
                   .options = start.model->options(),
                   .class_names = state.data.class_names,
                   .preprocess = state.options().preprocess,
                   .likelihood = loss_row(state.options().objectives.loss.loss).likelihood,
                   .resize_mode = start.resize_mode});
  checkpoint.model = named_tensors(*start.model);
  return checkpoint;
}

/// The classes of the run that wrote `metadata`, which was read from `path`. Throws InputError if
/// it had other towers or another vocabulary.
std::vector<std::string> checked_classes(const TrainingState& state, const Json& metadata,
                                         const std::string& path, const std::string& folder) {
  const auto& setup = state.setup;
  if (!setup.image_text && !setup.instruction) {
    return model_description(metadata, path).class_names;
  }
  const bool has_same_towers =
      setup.instruction
          ? instruction_description(metadata, path).options ==
                setup.instruction->description.options
          : image_text_description(metadata, path).options == setup.image_text->description.options;
  if (!has_same_towers) {
    throw InputError("the towers of the run in " + folder, "those that it began with",
                     "other options of the image or text tower");
  }
  const auto& tokenizer = setup.instruction ? setup.instruction->description.tokenizer
                                            : setup.image_text->description.tokenizer;
  if (metadata.value("tokenizer_digest", "") != tokenizer_digest(tokenizer)) {
    throw InputError("the vocabulary of the run in " + folder, "that which it began with",
                     "another one");
  }
  return metadata.at(kClassesKey).get<std::vector<std::string>>();
}

}  // namespace

Checkpoint to_checkpoint(const TrainingState& state) {
  auto checkpoint = model_part(state);
  checkpoint.metadata["command"] = state.setup.command;
  checkpoint.metadata["config"] = state.setup.config;
  checkpoint.metadata["data"] = to_json(state.data);
  checkpoint.metadata["progress"] = to_json(state.progress, state.epoch());
  checkpoint.metadata["trainable"] = {{"parameters", state.learning.learning},
                                      {"share", state.learning.share()}};
  checkpoint.optimizer = state.optimizer->state();
  if (state.ema) {
    checkpoint.ema = state.ema->tensors();
  }
  if (state.setup.matcher) {
    checkpoint.helpers = named_tensors(*state.setup.matcher);
  }
  return checkpoint;
}

void restore(TrainingState& state, const Checkpoint& checkpoint, const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path().string();
  const auto& metadata = checkpoint.metadata;
  check_same_command(metadata.value("command", state.setup.command), state.setup.command, folder);
  const auto check_data = [&] {
    check_same_data(checked_classes(state, metadata, path, folder), metadata.value("data", Json()),
                    state.data, folder);
  };
  const auto& config = metadata.at("config");
  if (config.value("num-classes", Json()) != state.setup.config.value("num-classes", Json())) {
    check_data();  // classes of other data are not to be resumed by a flag
  }
  check_resumed_options(config, state.setup.config, folder);
  check_data();
  const auto progress = run_progress(metadata.at("progress"));
  if (const auto& upcycling = state.setup.upcycling) {
    const auto& saved = progress.upcycled_step >= 0 ? upcycling->to : upcycling->from;
    if (state.model()->options() != saved) {
      replace_model(state, unfilled_model(saved, torch::kFloat32));
    }
  }
  load_into(state.setup.model(), checkpoint.model, path);
  state.optimizer->load_state(checkpoint.optimizer);
  if (state.ema) {
    state.ema->load(checkpoint.ema, path);
  }
  if (state.setup.matcher) {
    load_into(*state.setup.matcher, checkpoint.helpers, path);
  }
  state.progress = progress;
  state.fit_length();
  log_longer_run(state, metadata.at("config"));
}

}  // namespace softmoe
