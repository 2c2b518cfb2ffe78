#include "train/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/interrupt_guard.h"
#include "core/log.h"
#include "core/rng.h"
#include "train/hooks/checkpoint_hook.h"
#include "train/hooks/evaluation_hook.h"
#include "train/hooks/log_hook.h"
#include "train/hooks/metrics_hook.h"
#include "train/hooks/progress_bar_hook.h"
#include "train/hooks/routing_hook.h"
#include "train/hooks/tensorboard_hook.h"

namespace softmoe {

Trainer::Trainer(TrainingSetup setup, const Dataset& train_set, const Dataset& val_set,
                 RunFolder& folder)
    : val_set_(val_set),
      folder_(folder),
      feed_(train_set, Transform::training(setup.options.preprocess),
            training_loader(setup.options), setup.options.train.grad_accum_steps, setup.device),
      state_(make_training_state(std::move(setup), feed_.updates_per_epoch())) {
  adopt_optimizer_state();
  add_hooks();
}

void Trainer::add_hooks() {
  const auto& options = state_.options();
  // In this order: each follows those whose results it uses.
  add_hook(std::make_unique<ProgressBarHook>());
  add_hook(std::make_unique<EvaluationHook>(val_set_, Transform::evaluation(options.preprocess),
                                            [this] { stop_if_interrupted(); }));
  add_hook(std::make_unique<RoutingHook>(options.train.idle_steps));
  add_hook(std::make_unique<MetricsHook>(folder_));
  add_hook(std::make_unique<TensorBoardHook>(folder_));
  add_hook(std::make_unique<LogHook>());
  add_hook(std::make_unique<CheckpointHook>(folder_, [this] { return checkpoint(); }));
}

void Trainer::adopt_optimizer_state() {
  const auto given = std::exchange(state_.setup.start.optimizer_state, {});
  if (given.empty() || folder_.has_checkpoint()) {
    return;
  }
  const auto kept = state_.optimizer->adopt_state(given);
  if (kept == 0) {
    throw InputError("the optimizer state to begin with",
                     "that of " + state_.options().optimizer.opt + " for a tensor of this model",
                     "none");
  }
  log_line(fmt::format("optimizer state kept for {} of {} tensors that learn", kept,
                       state_.optimizer->size()));
}

TrainResult Trainer::run() {
  const InterruptGuard interrupt;
  begin();
  state_.model()->train();
  pause();
  while (state_.progress.step < state_.length.total_steps()) {
    stop_if_interrupted();
    update();
    pause();
  }
  for (const auto& hook : hooks_) {
    hook->at_end(state_);
  }
  return result();
}

void Trainer::begin() {
  const auto& learning = state_.learning;
  log_line(fmt::format("{} of {} parameters learn ({:.2f} %)", learning.learning, learning.total,
                       100.0 * learning.share()));
  folder_.set_config(state_.setup.config_text);
  if (folder_.has_checkpoint()) {
    resume();
  } else {
    folder_.begin(0);
  }
}

void Trainer::resume() {
  const auto path = folder_.last_checkpoint();
  const auto saved = load_checkpoint(path);
  restore(state_, saved, path.string());
  const auto& progress = saved.metadata.at("progress");
  for (const auto& hook : hooks_) {
    hook->load_state(state_, progress);
  }
  feed_.restore_bad_images(progress.value("bad_images", Json::array()));
  folder_.begin(state_.progress.step);
  log_line(fmt::format("resuming {} after update {} of {}", folder_.path().string(),
                       state_.progress.step, state_.length.total_steps()));
}

/// What is due between two updates.
void Trainer::pause() {
  const auto& train = state_.options().train;
  const int64_t step = state_.progress.step;
  const bool evaluates =
      state_.length.is_due(train.eval_interval, step) && state_.progress.evaluated_step != step;
  if (evaluates) {
    evaluate();
  }
  if ((evaluates && state_.evaluation.is_best) ||
      state_.length.is_due(train.checkpoint_interval, step)) {
    for (const auto& hook : hooks_) {
      hook->at_checkpoint(state_);
    }
  }
}

/// Saves before it throws what an evaluation throws, so that no training is lost to a bad image.
void Trainer::evaluate() {
  try {
    for (const auto& hook : hooks_) {
      hook->at_evaluation(state_);
    }
  } catch (const InputError&) {
    for (const auto& hook : hooks_) {
      hook->at_interrupt(state_);
    }
    throw;
  }
}

void Trainer::stop_if_interrupted() {
  if (!interrupt_requested()) {
    return;
  }
  for (const auto& hook : hooks_) {
    hook->at_interrupt(state_);
  }
  throw Interrupted(fmt::format(
      "interrupted after update {} of {}, saved {}; the same command started again resumes there",
      state_.progress.step, state_.length.total_steps(), folder_.last_checkpoint().string()));
}

void Trainer::update() {
  const auto start = std::chrono::steady_clock::now();
  const auto update = next_update();
  if (!std::isfinite(update.loss)) {
    throw_not_finite(update.loss);
  }
  count_update(update.loss,
               std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  for (const auto& hook : hooks_) {
    hook->after_update(state_, update);
  }
  if (state_.length.is_recorded(state_.options().train.log_interval, state_.progress.step)) {
    record(update);
  }
}

ModelUpdate Trainer::next_update() {
  const auto& options = state_.options();
  const int64_t step = state_.progress.step;
  const int64_t batches = options.train.grad_accum_steps;
  int64_t number = step * batches;
  return update_model(
      state_.model(), *state_.optimizer, options.objectives, [&] { return feed_.take(number++); },
      {.step = {.compute_dtype = state_.compute_dtype,
                .record_load = state_.length.is_recorded(options.train.log_interval, step + 1),
                .batches = batches},
       .lr = state_.schedule.rate(step),
       .clip_grad = options.optimizer.clip_grad,
       // Keyed by the update's number, so that a resumed run needs no state of a generator.
       .random_key = stream_key(static_cast<uint64_t>(options.train.seed), "update", 0,
                                static_cast<uint64_t>(step))});
}

void Trainer::count_update(double loss, double seconds) {
  auto& progress = state_.progress;
  ++progress.step;
  progress.interval_loss += loss;
  ++progress.interval_updates;
  progress.epoch_loss += loss;
  ++progress.epoch_updates;
  progress.train_seconds += seconds;
  ++state_.sitting.updates;
  state_.sitting.seconds += seconds;
  state_.sitting.data_seconds = feed_.waited_seconds();
}

void Trainer::record(const ModelUpdate& update) {
  auto& progress = state_.progress;
  const auto updates = static_cast<double>(progress.interval_updates);
  TrainingRecord record{.update = update, .mean_loss = progress.interval_loss / updates};
  for (const auto& hook : hooks_) {
    hook->at_record(state_, record);
  }
  progress.interval_loss = 0.0;
  progress.interval_updates = 0;
}

void Trainer::throw_not_finite(double loss) const {
  const int64_t step = state_.progress.step;
  throw InputError(fmt::format(
      "loss is {} at update {} of {} (lr {:.3g}); a smaller --lr or --clip-grad may help; {}", loss,
      step + 1, state_.length.total_steps(), state_.schedule.rate(step),
      folder_.has_checkpoint()
          ? "the last checkpoint is kept at " + folder_.last_checkpoint().string()
          : "no checkpoint was written yet"));
}

Checkpoint Trainer::checkpoint() const {
  auto checkpoint = to_checkpoint(state_, val_set_.class_names());
  auto& progress = checkpoint.metadata.at("progress");
  for (const auto& hook : hooks_) {
    hook->save_state(state_, progress);
  }
  progress["bad_images"] = feed_.bad_images();
  return checkpoint;
}

TrainResult Trainer::result() const {
  const auto& progress = state_.progress;
  const auto images = static_cast<double>(progress.step * state_.images_per_update());
  const double seconds = progress.train_seconds;
  return {.run_folder = folder_.path(),
          .steps = progress.step,
          .best_top1 = progress.best_top1,
          .best_step = progress.best_step,
          .last = state_.evaluation.result,
          .train_seconds = seconds,
          .images_per_second = seconds > 0 ? images / seconds : 0.0,
          .parameters = state_.learning,
          .routing = state_.routing};
}

}  // namespace softmoe
