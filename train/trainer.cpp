#include "train/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "core/error.h"
#include "core/interrupt_guard.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/rng.h"
#include "core/shell_word.h"
#include "io/atomic_file.h"
#include "runtime/profiler.h"
#include "train/hooks/average_hook.h"
#include "train/hooks/checkpoint_hook.h"
#include "train/hooks/evaluation_hook.h"
#include "train/hooks/log_hook.h"
#include "train/hooks/metrics_hook.h"
#include "train/hooks/profile_hook.h"
#include "train/hooks/progress_bar_hook.h"
#include "train/hooks/routing_hook.h"
#include "train/hooks/tensorboard_hook.h"
#include "train/run_upcycling.h"
#include "train/shared_run.h"
#include "train/world_rules.h"

namespace softmoe {
namespace {

/// How often a run goes on from one update after losses that are not finite.
constexpr int64_t kMaxAttempts = 10;

}  // namespace

Trainer::Trainer(TrainingSetup setup, const Dataset& train_set, const Dataset& val_set,
                 RunFolder& folder)
    : train_set_(train_set),
      val_set_(val_set),
      folder_(folder),
      feed_(setup.fed_images(train_set), setup.fed_transform(), fed_loader(setup),
            setup.options.train.grad_accum_steps, setup.device, setup.options.mixup,
            setup.start.model->options().num_classes),
      state_(make_training_state(std::move(setup),
                                 data_identity(train_set, val_set, setup.options.data),
                                 feed_.updates_per_epoch())),
      image_sizes_(image_size_stages(state_.options().train, state_.model()->options())) {
  prepare_model();
  adopt_optimizer_state();
  add_hooks();
}

void Trainer::add_hooks() {
  const auto& options = state_.options();
  // In this order: each follows those whose results it uses.
  add_hook(std::make_unique<ProgressBarHook>());
  add_hook(std::make_unique<EvaluationHook>(val_set_, Transform::evaluation(options.preprocess),
                                            before_evaluated_batch()));
  add_hook(std::make_unique<AverageHook>(folder_));
  add_hook(std::make_unique<RoutingHook>(options.train.idle_steps));
  add_hook(std::make_unique<MetricsHook>(folder_));
  add_hook(std::make_unique<TensorBoardHook>(folder_));
  add_hook(std::make_unique<LogHook>());
  if (options.train.profile > 0 && state_.setup.world.is_first()) {
    add_hook(std::make_unique<ProfileHook>(folder_, state_));
  }
  add_hook(std::make_unique<CheckpointHook>(folder_, [this] { return checkpoint(); }));
}

/// What stops evaluations. Several processes stop between updates alone, where all of them agree.
std::function<void()> Trainer::before_evaluated_batch() {
  return state_.setup.world.is_alone() ? [this] { stop_if_interrupted(); }
                                       : std::function<void()>();
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
  prepare_model();
  pause();
  while (state_.progress.step < state_.length.total_steps()) {
    stop_if_interrupted();
    upcycle_if_due();
    update();
    pause();
    if (state_.progress.step < state_.length.total_steps()) {
      state_.fit_length();
    }
  }
  for (const auto& hook : hooks_) {
    hook->at_end(state_);
  }
  return train_result(state_, folder_.path());
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
    if (state_.options().train.on_nan == OnNan::kRollback) {
      save();  // to go back to
    }
  }
  folder_.check_space(whole_bytes(state_.setup.experts.get(), checkpoint()));
}

void Trainer::prepare_model() {
  state_.model()->set_any_image_size(!image_sizes_.empty());
  state_.setup.set_training(true);
}

/// Saves before and after, so that a run that is interrupted resumes on the side where it was.
void Trainer::upcycle_if_due() {
  if (!state_.is_upcycling_due()) {
    return;
  }
  save();
  save_checkpoint(folder_.path() / "dense.h5", checkpoint());
  const auto start = std::chrono::steady_clock::now();
  upcycle_run(state_, train_set_);
  auto& progress = state_.progress;
  progress.train_seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  progress.upcycled_seconds = progress.train_seconds;
  prepare_model();
  state_.fit_length();
  state_.sitting = {};
  waited_before_ = feed_.waited_seconds();
  save();
}

void Trainer::resume() {
  const auto saved = load_shared(state_.setup.world, state_.setup.experts.get(), folder_);
  restore(state_, saved.checkpoint, saved.path.string());
  prepare_model();
  const auto& progress = saved.checkpoint.metadata.at("progress");
  for (const auto& hook : hooks_) {
    hook->load_state(state_, progress);
  }
  feed_.restore_bad_images(progress.value("bad_images", Json::array()));
  folder_.begin(state_.progress.step);
  end_if_out_of_patience();
  log_line(fmt::format("resuming {} after update {} of {}", folder_.path().string(),
                       state_.progress.step, state_.length.total_text()));
}

/// Saves the state between two updates.
void Trainer::save() {
  for (const auto& hook : hooks_) {
    hook->at_save(state_);
  }
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

/// Saves first, so that no training is lost to a bad image or to a lack of memory.
void Trainer::evaluate() {
  save();
  for (const auto& hook : hooks_) {
    hook->at_evaluation(state_);
  }
  end_if_out_of_patience();
}

/// Ends the run if the last evaluations have brought no new best.
void Trainer::end_if_out_of_patience() {
  const int64_t patience = state_.options().train.patience;
  const auto& progress = state_.progress;
  if (patience == 0 || progress.evaluations_since_best < patience ||
      progress.step >= state_.length.total_steps()) {
    return;
  }
  state_.length.end_at(progress.step);
  log_line(fmt::format("ends after update {}: no new best {} in {} since that of update {}",
                       progress.step,
                       val_set_.is_multi_label() ? "mean average precision" : "top-1",
                       pluralize(patience, "evaluation"), progress.best_step));
}

void Trainer::stop_if_interrupted() {
  if (!state_.setup.world.any(interrupt_requested())) {
    return;
  }
  save();
  throw Interrupted(fmt::format(
      "interrupted after update {} of {}, saved {}; the same command started again resumes there",
      state_.progress.step, state_.length.total_text(), folder_.last_checkpoint().string()));
}

void Trainer::update() {
  const auto start = std::chrono::steady_clock::now();
  const auto before = state_.setup.world.traffic();
  const auto update = next_update();
  if (!update.is_finite()) {
    leave_out(update);
    return;
  }
  const auto after = state_.setup.world.traffic();
  state_.sitting.traffic.exchanged += after.exchanged - before.exchanged;
  state_.sitting.traffic.summed += after.summed - before.summed;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  // All processes must come to the same end of a run of limited time.
  count_update(update.loss,
               state_.length.is_timed() ? state_.setup.world.number_of_first(seconds) : seconds);
  for (const auto& hook : hooks_) {
    hook->after_update(state_, update);
  }
  if (state_.length.is_recorded(state_.options().train.log_interval, state_.progress.step)) {
    record(update);
  }
}

/// The place of the next update in the order of the data and of all random numbers.
int64_t Trainer::next_place() const {
  return state_.progress.step + state_.progress.skipped_updates;
}

/// Keyed by the place of the update, so that a resumed run needs no state of a generator.
uint64_t Trainer::random_key() const {
  const auto key = stream_key(static_cast<uint64_t>(state_.options().train.seed), "update", 0,
                              static_cast<uint64_t>(next_place()));
  const auto rank = static_cast<uint64_t>(state_.setup.world.rank());
  return rank == 0 || draws_by_image(state_.setup) ? key : stream_key(key, "rank", 0, rank);
}

/// Prepares images of another size if the next update wants them.
void Trainer::follow_image_sizes() {
  const int64_t size =
      image_size_at(image_sizes_, state_.progress.step, state_.length.total_steps());
  if (size == state_.image_size) {
    return;
  }
  state_.image_size = size;
  feed_.set_transform(Transform::training(with_image_size(state_.options().preprocess, size)));
  log_line(fmt::format("training images have {} x {} px from update {} on", size, size,
                       state_.progress.step + 1));
}

ModelUpdate Trainer::next_update() {
  const ProfilePart part("update");
  follow_image_sizes();
  const auto& options = state_.options();
  const int64_t step = state_.progress.step;
  const int64_t batches = options.train.grad_accum_steps;
  const bool is_recorded = state_.length.is_recorded(options.train.log_interval, step + 1);
  int64_t number = next_place() * batches;
  batches_.clear();
  const auto next_batch = [&] {
    auto batch = feed_.take(number);
    state_.setup.complete(batch, number);
    ++number;
    batches_.push_back(batch);
    return batch;
  };
  return update_model(state_.model(), *state_.optimizer, options.objectives, next_batch,
                      {.step = {.compute_dtype = state_.compute_dtype,
                                .record_load = is_recorded,
                                .batches = batches,
                                .progress = state_.length.share_of(step),
                                .teacher = state_.setup.teacher.get(),
                                .matcher = state_.setup.matcher.get(),
                                .image_text = state_.setup.image_text.get(),
                                .instruction = state_.setup.instruction.get()},
                       .lr = state_.schedule.rate(step),
                       .clip_grad = options.optimizer.clip_grad,
                       .sam_rho = options.optimizer.sam_rho,
                       .record_norms = is_recorded,
                       .random_key = random_key(),
                       .part = update_part(state_)});
}

/// Does what --on-nan asks for about an update that cannot be made.
void Trainer::leave_out(const ModelUpdate& update) {
  const auto& world = state_.setup.world;
  const auto found =
      all_not_finite(world, not_finite(state_, update, batches_, train_set_, random_key()));
  const auto text = found.text(state_.length.total_text());
  const auto on_nan = state_.options().train.on_nan;
  if (on_nan == OnNan::kStop) {
    stop_at(found, text);
  }
  const int64_t place = next_place();
  if (on_nan == OnNan::kRollback) {
    resume();
  }
  attempts_ = state_.progress.step == attempts_from_ ? attempts_ + 1 : 1;
  attempts_from_ = state_.progress.step;
  if (attempts_ > kMaxAttempts) {
    stop_at(found, fmt::format("{}; after {} attempts to go on from update {}", text, kMaxAttempts,
                               attempts_from_));
  }
  state_.progress.skipped_updates = place + 1 - state_.progress.step;
  log_line(fmt::format("{}; {}, in all {}", text,
                       on_nan == OnNan::kSkip
                           ? "its batches are left out"
                           : "all batches since the last checkpoint are left out",
                       pluralize(state_.progress.skipped_updates, "update")));
}

/// Ends the run; saves what leads to the update that cannot be made.
void Trainer::stop_at(const NotFinite& found, const std::string& text) {
  save();
  const auto report = folder_.path() / fmt::format("nan-{}.json", found.step + 1);
  if (state_.setup.world.is_first()) {
    write_text_file(report, json_text(to_json(found), 2) + "\n");
  }
  throw InputError(fmt::format(
      "{}; the images are listed in {}, {}; --on-nan skip goes on without them; a lower rate "
      "begins anew: softmoe {} --config {} --experiment {} --lr {:g}",
      text, report.string(),
      folder_.has_checkpoint() ? "the last checkpoint is " + folder_.last_checkpoint().string()
                               : "no checkpoint was written yet",
      state_.setup.command, shell_word((folder_.path() / "config.toml").string()),
      shell_word(folder_.path().filename().string() + "-2"), state_.options().schedule.lr / 4));
}

void Trainer::count_update(double loss, double seconds) {
  auto& progress = state_.progress;
  ++progress.step;
  if (state_.ema) {
    state_.ema->update(state_.setup.model(), progress.step);
  }
  progress.interval_loss += loss;
  ++progress.interval_updates;
  progress.epoch_loss += loss;
  ++progress.epoch_updates;
  progress.train_seconds += seconds;
  if (state_.length.is_timed() && progress.step == state_.length.total_steps()) {
    progress.ended_max_time = state_.length.max_time().seconds;
  }
  ++state_.sitting.updates;
  state_.sitting.seconds += seconds;
  state_.sitting.data_seconds = feed_.waited_seconds() - waited_before_;
}

void Trainer::record(const ModelUpdate& update) {
  auto& progress = state_.progress;
  const auto updates = static_cast<double>(progress.interval_updates);
  const auto whole = with_all_routing(state_.setup.world, update, update_part(state_).share());
  TrainingRecord record{.update = whole, .mean_loss = progress.interval_loss / updates};
  for (const auto& hook : hooks_) {
    hook->at_record(state_, record);
  }
  progress.interval_loss = 0.0;
  progress.interval_updates = 0;
}

Checkpoint Trainer::checkpoint() const {
  auto checkpoint = to_checkpoint(state_);
  auto& progress = checkpoint.metadata.at("progress");
  for (const auto& hook : hooks_) {
    hook->save_state(state_, progress);
  }
  progress["bad_images"] = all_bad_images(state_.setup.world, feed_.bad_images());
  return checkpoint;
}

}  // namespace softmoe
