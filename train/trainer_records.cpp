/// What a trainer writes down: checkpoints, records, progress.

#include <fmt/format.h>

#include <chrono>
#include <set>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "core/command_interrupt.h"
#include "core/error.h"
#include "core/log.h"
#include "eval/evaluate.h"
#include "runtime/device.h"
#include "train/trainer.h"

namespace softmoe {
namespace {

/// Options that may differ when a run resumes: they change nothing that is computed.
bool may_change(const std::string& name) {
  static const std::set<std::string> names{"workers", "prefetch", "log-interval",    "device",
                                           "json",    "threads",  "checkpoint-hist", "idle-steps"};
  return names.contains(name);
}

Json to_json(const std::vector<BadImage>& images) {
  Json json = Json::array();
  for (const auto& image : images) {
    json.push_back({{"index", image.index}, {"reason", valid_utf8(image.reason)}});
  }
  return json;
}

std::vector<BadImage> bad_images_from(const Json& json) {
  std::vector<BadImage> images;
  for (const auto& entry : json) {
    images.push_back({.index = entry.at("index"), .reason = entry.at("reason")});
  }
  return images;
}

}  // namespace

void Trainer::check_same_run(const Json& metadata) const {
  const auto& before = metadata.at("config");
  for (const auto& [name, value] : run_.config.items()) {
    if (!may_change(name) && before.contains(name) && before.at(name) != value) {
      throw UsageError("--" + name + ": the run in " + folder_.path().string() + " has " +
                       before.at(name).dump() + ", now it is " + value.dump() +
                       "; resume with the old value or choose another --experiment");
    }
  }
}

void Trainer::adopt_optimizer_state() {
  const auto state = std::exchange(run_.optimizer_state, {});
  if (state.empty() || folder_.has_checkpoint()) {
    return;
  }
  const auto kept = optimizer_->adopt_state(state);
  if (kept == 0) {
    throw InputError("the optimizer state to begin with",
                     "that of " + run_.optimizer.opt + " for a tensor of this model", "none");
  }
  log_line(fmt::format("optimizer state kept for {} of {} tensors that learn", kept,
                       optimizer_->size()));
}

void Trainer::begin() {
  log_line(fmt::format("{} of {} parameters learn ({:.2f} %)", learning_.learning, learning_.total,
                       100.0 * learning_.share()));
  folder_.set_config(run_.config_text);
  if (folder_.has_checkpoint()) {
    resume();
  } else {
    folder_.begin(0);
  }
}

void Trainer::resume() {
  const auto path = folder_.last_checkpoint();
  const auto checkpoint = load_checkpoint(path);
  check_same_run(checkpoint.metadata);
  load_into(*model_, checkpoint.model, path.string());
  optimizer_->load_state(checkpoint.optimizer);
  const auto& progress = checkpoint.metadata.at("progress");
  state_.step = progress.at("step");
  state_.evaluated_step = progress.at("evaluated_step");
  state_.interval_loss = progress.at("interval_loss");
  state_.interval_updates = progress.at("interval_updates");
  state_.epoch_loss = progress.at("epoch_loss");
  state_.epoch_updates = progress.at("epoch_updates");
  state_.best_top1 = progress.at("best_top1");
  state_.best_step = progress.at("best_step");
  state_.train_seconds = progress.at("train_seconds");
  // Checkpoints of earlier versions have none of these.
  monitor_.load_state(progress.value("idle_experts", Json::array()));
  last_routing_ = progress.value("routing", Json());
  loader_.restore_bad_images(bad_images_from(progress.value("bad_images", Json::array())));
  saved_step_ = state_.step;
  folder_.begin(state_.step);
  log_line(fmt::format("resuming {} after update {} of {}", folder_.path().string(), state_.step,
                       total_steps_));
}

void Trainer::save(bool is_best) {
  folder_.flush();
  Checkpoint checkpoint;
  checkpoint.metadata = to_metadata({.name = run_.model_name,
                                     .options = run_.model,
                                     .class_names = val_set_.class_names(),
                                     .preprocess = run_.preprocess,
                                     .loss = run_.loss.loss,
                                     .resize_mode = run_.resize_mode});
  checkpoint.metadata["config"] = run_.config;
  checkpoint.metadata["progress"] = {{"step", state_.step},
                                     {"epoch", epoch_of(state_.step)},
                                     {"evaluated_step", state_.evaluated_step},
                                     {"interval_loss", state_.interval_loss},
                                     {"interval_updates", state_.interval_updates},
                                     {"epoch_loss", state_.epoch_loss},
                                     {"epoch_updates", state_.epoch_updates},
                                     {"best_top1", state_.best_top1},
                                     {"best_step", state_.best_step},
                                     {"train_seconds", state_.train_seconds},
                                     {"idle_experts", monitor_.state()},
                                     {"routing", last_routing_},
                                     {"bad_images", to_json(loader_.bad_images())}};
  checkpoint.metadata["trainable"] = {{"parameters", learning_.learning},
                                      {"share", learning_.share()}};
  checkpoint.model = named_tensors(*model_);
  checkpoint.optimizer = optimizer_->state();
  folder_.save_checkpoint(
      state_.step, is_best, run_.train.checkpoint_hist,
      [&checkpoint](const std::filesystem::path& path) { save_checkpoint(path, checkpoint); });
  saved_step_ = state_.step;
}

void Trainer::stop_for_interrupt() {
  save(/*is_best=*/false);
  throw Interrupted(fmt::format(
      "interrupted after update {} of {}, saved {}; the same command started again resumes there",
      state_.step, total_steps_, folder_.last_checkpoint().string()));
}

void Trainer::record_interval(double loss, double gradient_norm) {
  const auto updates = static_cast<double>(state_.interval_updates);
  const double mean_loss = state_.interval_loss / updates;
  const double rate = schedule_->rate(state_.step - 1);
  Json metrics{{"step", state_.step},
               {"epoch", epoch_of(state_.step)},
               {"train_loss", mean_loss},
               {"grad_norm", gradient_norm},
               {"lr", rate}};
  record_routing(metrics);
  folder_.add_metrics(metrics);
  const double data_share = sitting_seconds_ > 0 ? data_seconds_ / sitting_seconds_ : 0.0;
  folder_.add_timing({{"step", state_.step},
                      {"train_seconds", state_.train_seconds},
                      {"images_per_second", images_per_second()},
                      {"data_share", data_share}});
  folder_.add_scalar("train/loss", mean_loss, state_.step);
  folder_.add_scalar("train/lr", rate, state_.step);
  folder_.add_scalar("train/grad_norm", gradient_norm, state_.step);
  folder_.add_scalar("train/images_per_second", images_per_second(), state_.step);
  if (progress_style() != ProgressStyle::kBar) {
    const int64_t epoch = (state_.step - 1) / steps_per_epoch_;
    const int64_t in_epoch = state_.step - epoch * steps_per_epoch_;
    const double step_seconds = sitting_seconds_ / static_cast<double>(sitting_updates_);
    log_line(fmt::format(
        "Train: {} [{:>4}/{} ({:3.0f}%)]  Loss: {:.4f} ({:.4f})  Time: {:.3f}s,  {:.1f}/s  "
        "LR: {:.3e}  Data: {:.0f}%",
        epoch, in_epoch, steps_per_epoch_,
        100.0 * static_cast<double>(in_epoch) / static_cast<double>(steps_per_epoch_), loss,
        mean_loss, step_seconds, images_per_second(), rate, 100.0 * data_share));
  }
  state_.interval_loss = 0.0;
  state_.interval_updates = 0;
}

void Trainer::record_routing(Json& metrics) {
  std::vector<std::string> warnings;
  const auto routing = monitor_.finish(state_.step, warnings);
  if (!routing.empty()) {
    last_routing_ = to_json(routing);
    metrics["routing"] = last_routing_;
  }
  for (const auto& [block, layer] : routing) {
    for (const auto& [name, value] : layer.summary()) {
      folder_.add_scalar(fmt::format("routing/block{}/{}", block, name), value, state_.step);
    }
  }
  for (const auto& line : warnings) {
    log_line(line);
  }
}

ClassificationResult Trainer::evaluate_model() {
  auto options = run_.loader;
  options.shuffle = false;
  options.drop_last = false;
  Loader loader(val_set_, val_transform_, options);
  const BatchLoopOptions loop{.device = device_,
                              .dtype = compute_dtype_,
                              .images = val_set_.size(),
                              .before_batch = [this] {
                                if (interrupt_requested()) {
                                  stop_for_interrupt();
                                }
                              }};
  model_->eval();
  auto result = softmoe::evaluate(
      [this](const torch::Tensor& images) { return model_(images); }, loader,
      run_.model.num_classes,
      run_.loss.loss == "sigmoid" ? Likelihood::kSigmoid : Likelihood::kSoftmax, loop);
  model_->train();
  return result;
}

bool Trainer::evaluate() {
  progress_.reset();
  last_evaluation_ = evaluate_model();
  state_.evaluated_step = state_.step;
  const bool is_best = last_evaluation_.top1 > state_.best_top1;
  if (is_best) {
    state_.best_top1 = last_evaluation_.top1;
    state_.best_step = state_.step;
  }
  const double train_loss =
      state_.epoch_loss / static_cast<double>(std::max<int64_t>(1, state_.epoch_updates));
  state_.epoch_loss = 0.0;
  state_.epoch_updates = 0;
  const auto& evaluation = last_evaluation_;
  folder_.add_summary({.epoch = epoch_of(state_.step),
                       .step = state_.step,
                       .train_loss = train_loss,
                       .eval_loss = evaluation.loss,
                       .eval_top1 = evaluation.top1,
                       .eval_top5 = evaluation.top5,
                       .lr = schedule_->rate(state_.step - 1)});
  folder_.add_timing({{"step", state_.step}, {"train_seconds", state_.train_seconds}});
  folder_.add_scalar("eval/loss", evaluation.loss, state_.step);
  folder_.add_scalar("eval/top1", evaluation.top1, state_.step);
  folder_.add_scalar("eval/top5", evaluation.top5, state_.step);
  log_line(fmt::format(
      " * epoch {:.2f}  Acc@1 {:.3f} ({:.3f}) Acc@5 {:.3f} ({:.3f})  loss {:.4f}  train loss "
      "{:.4f}  {:.0f} img/s  {}{}",
      epoch_of(state_.step), 100 * evaluation.top1, 100 * (1 - evaluation.top1),
      100 * evaluation.top5, 100 * (1 - evaluation.top5), evaluation.loss, train_loss,
      images_per_second(), format_duration(state_.train_seconds), is_best ? "  best" : ""));
  return is_best;
}

double Trainer::images_per_second() const {
  const auto images =
      static_cast<double>(sitting_updates_ * run_.loader.batch_size * run_.train.grad_accum_steps);
  return sitting_seconds_ > 0 ? images / sitting_seconds_ : 0.0;
}

void Trainer::show_progress(double loss) {
  if (progress_style() != ProgressStyle::kBar) {
    return;
  }
  if (!progress_) {
    progress_ = std::make_unique<Progress>("Train", total_steps_, "updates");
  }
  progress_->update(
      state_.step,
      fmt::format("{:.0f} img/s  loss {:.4f}  lr {:.2e}  data {:.0f}%", images_per_second(), loss,
                  schedule_->rate(state_.step - 1), 100.0 * data_seconds_ / sitting_seconds_));
}

TrainResult Trainer::result() const {
  const auto images =
      static_cast<double>(state_.step * run_.loader.batch_size * run_.train.grad_accum_steps);
  return {.steps = state_.step,
          .best_top1 = state_.best_top1,
          .best_step = state_.best_step,
          .last = last_evaluation_,
          .train_seconds = state_.train_seconds,
          .images_per_second = state_.train_seconds > 0 ? images / state_.train_seconds : 0.0,
          .parameters = learning_,
          .routing = last_routing_};
}

}  // namespace softmoe
