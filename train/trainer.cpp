#include "train/trainer.h"

#include <fmt/format.h>

#include <chrono>

#include "core/interrupt_guard.h"
#include "core/error.h"
#include "core/rng.h"
#include "runtime/device.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void fit_preprocessing(PreprocessOptions& preprocess, const VitOptions& model) {
  preprocess.input_size = {model.in_chans, model.image_height(), model.image_width()};
}

Json to_json(const TrainResult& result) {
  Json json;
  json["steps"] = result.steps;
  json["best_top1"] = result.best_top1;
  json["best_step"] = result.best_step;
  json["last"] = to_json(result.last);
  json["train_seconds"] = result.train_seconds;
  json["images_per_second"] = result.images_per_second;
  json["parameters"] = result.parameters.total;
  json["trainable_parameters"] = result.parameters.learning;
  json["trainable_share"] = result.parameters.share();
  if (!result.routing.is_null()) {
    json["routing"] = result.routing;
  }
  return json;
}

Trainer::Trainer(VisionTransformer model, TrainingRun run, const Dataset& train_set,
                 const Dataset& val_set, RunFolder& folder, torch::Device device)
    : model_(std::move(model)),
      run_(std::move(run)),
      val_set_(val_set),
      folder_(folder),
      device_(device),
      compute_dtype_(compute_dtype(run_.train.amp_dtype, device)),
      train_transform_(Transform::training(run_.preprocess)),
      val_transform_(Transform::evaluation(run_.preprocess)),
      loader_(train_set, train_transform_, run_.loader),
      learning_(set_trainable(*model_, run_.trainable)),
      optimizer_(make_optimizer(named_parameters(*model_), run_.optimizer)),
      monitor_(run_.train.idle_steps) {
  TORCH_CHECK_VALUE(run_.loader.drop_last, "Trainer: updates need batches of one size");
  if (loader_.batches_per_epoch() < run_.train.grad_accum_steps) {
    throw InputError("batch-size", fmt::format("at most the {} training images", train_set.size()),
                     std::to_string(run_.loader.batch_size * run_.train.grad_accum_steps));
  }
  steps_per_epoch_ = loader_.batches_per_epoch() / run_.train.grad_accum_steps;
  total_steps_ = std::llround(run_.train.epochs * static_cast<double>(steps_per_epoch_));
  if (run_.train.max_steps > 0) {
    total_steps_ = std::min(total_steps_, run_.train.max_steps);
  }
  schedule_ = std::make_unique<Schedule>(run_.schedule, total_steps_,
                                         static_cast<double>(steps_per_epoch_));
  adopt_optimizer_state();
}

double Trainer::epoch_of(int64_t step) const {
  return static_cast<double>(step) / static_cast<double>(steps_per_epoch_);
}

bool Trainer::is_due(double interval_epochs, int64_t step) const {
  if (step == 0) {
    return false;
  }
  // The k-th event falls on the update nearest to k intervals.
  const double interval = interval_epochs * static_cast<double>(steps_per_epoch_);
  const auto events_by = [interval](int64_t updates) {
    return std::floor(static_cast<double>(updates) / interval + 1e-9);
  };
  return step == total_steps_ || events_by(step) > events_by(step - 1);
}

Batch Trainer::next_batch() {
  const int64_t batches_per_epoch = steps_per_epoch_ * run_.train.grad_accum_steps;
  const int64_t batch_index = state_.step * run_.train.grad_accum_steps + micro_step_;
  const int64_t epoch = batch_index / batches_per_epoch;
  if (epoch != loader_epoch_) {
    loader_.start(epoch, batch_index % batches_per_epoch);
    loader_epoch_ = epoch;
  }
  const auto start = Clock::now();
  auto batch = loader_.next();
  data_seconds_ += seconds_since(start);
  TORCH_INTERNAL_ASSERT(batch.has_value(), "the loader ended inside an epoch");
  return std::move(*batch);
}

torch::Tensor Trainer::batch_loss(const Batch& batch, bool recorded) {
  const AutocastGuard autocast(device_, compute_dtype_);
  const bool has_router_losses = run_.router_losses.any();
  auto records = model_->routing_records({.scores = has_router_losses, .load = recorded});
  const auto logits =
      model_->forward(batch.images.to(device_),
                      has_router_losses || recorded ? &records : nullptr);  // [batch, classes]
  const auto losses =
      classification_losses(run_.loss, logits, batch.labels.to(device_));  // [batch]
  const auto objective = has_router_losses ? routing_objective(run_.router_losses, records, losses)
                                           : RoutingObjective();
  if (recorded) {
    monitor_.add(records, objective);
  }
  return objective.total.defined() ? losses.mean() + objective.total : losses.mean();  // []
}

double Trainer::update(bool recorded) {
  // All randomness of an update hangs on its number, so that a resumed run needs no saved state.
  torch::manual_seed(stream_key(static_cast<uint64_t>(run_.train.seed), "update", 0,
                                static_cast<uint64_t>(state_.step)));
  const int64_t accumulate = run_.train.grad_accum_steps;
  double loss_sum = 0.0;
  for (micro_step_ = 0; micro_step_ < accumulate; ++micro_step_) {
    const auto loss = batch_loss(next_batch(), recorded);  // []
    loss_sum += loss.item<double>();
    (accumulate > 1 ? loss / static_cast<double>(accumulate) : loss).backward();
  }
  return loss_sum / static_cast<double>(accumulate);
}

void Trainer::train_step() {
  const auto start = Clock::now();
  const bool recorded =
      (state_.step + 1) % run_.train.log_interval == 0 || state_.step + 1 == total_steps_;
  const double loss = update(recorded);
  if (!std::isfinite(loss)) {
    throw InputError(fmt::format(
        "loss is {} at update {} of {} (lr {:.3g}); a smaller --lr or --clip-grad may help; "
        "{}",
        loss, state_.step + 1, total_steps_, schedule_->rate(state_.step),
        folder_.has_checkpoint()
            ? "the last checkpoint is kept at " + folder_.last_checkpoint().string()
            : "no checkpoint was written yet"));
  }
  const double gradient_norm =
      optimizer_->clip_and_step(schedule_->rate(state_.step), run_.optimizer.clip_grad)
          .item<double>();
  optimizer_->zero_grad();
  ++state_.step;
  state_.interval_loss += loss;
  ++state_.interval_updates;
  state_.epoch_loss += loss;
  ++state_.epoch_updates;
  const double seconds = seconds_since(start);
  state_.train_seconds += seconds;
  sitting_seconds_ += seconds;
  ++sitting_updates_;
  if (recorded) {
    record_interval(loss, gradient_norm);
  }
  show_progress(loss);
}

TrainResult Trainer::run() {
  const InterruptGuard interrupt;
  begin();
  model_->train();
  while (true) {
    const bool evaluate_now =
        is_due(run_.train.eval_interval, state_.step) && state_.evaluated_step != state_.step;
    const bool is_best = evaluate_now && evaluate();
    const bool checkpoint_now = is_due(run_.train.checkpoint_interval, state_.step);
    if (is_best || (checkpoint_now && state_.step != saved_step_)) {
      save(is_best);
    }
    if (state_.step >= total_steps_) {
      break;
    }
    if (interrupt_requested()) {
      stop_for_interrupt();
    }
    train_step();
  }
  if (last_evaluation_.examples == 0) {
    // A finished run started again: its result needs the evaluation, its records have it.
    last_evaluation_ = evaluate_model();
  }
  return result();
}

}  // namespace softmoe
