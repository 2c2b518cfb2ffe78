#include "train/hooks/log_hook.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/progress.h"

namespace softmoe {

void LogHook::after_update(TrainingState& state, const ModelUpdate& /*update*/) {
  if (told_of_waiting_ || state.sitting.updates < kFirstLook || state.data_share() < kToldShare) {
    return;
  }
  told_of_waiting_ = true;
  const auto& data = state.options().data;
  const int64_t workers = state.options().loader.workers;
  log_line(fmt::format(
      "training waits for its images {:.0f} % of the time: {} is read and transformed by {} more "
      "slowly than the model learns; try more --workers, softmoe data pack, a cheaper "
      "augmentation, or --jpeg-decoding scaled for JPEG files",
      100 * state.data_share(),
      printable_text(data.data_dir.empty() ? data.dataset : data.data_dir),
      workers == 0 ? "the training thread" : pluralize(workers, "worker")));
}

void LogHook::at_record(TrainingState& state, TrainingRecord& record) {
  if (progress_style() == ProgressStyle::kBar) {
    return;
  }
  const int64_t steps_per_epoch = state.length.steps_per_epoch();
  const int64_t epoch = (state.progress.step - 1) / steps_per_epoch;
  const int64_t in_epoch = state.progress.step - epoch * steps_per_epoch;
  const double step_seconds = state.sitting.seconds / static_cast<double>(state.sitting.updates);
  log_line(fmt::format(
      "Train: {} [{:>4}/{} ({:3.0f}%)]  Loss: {:.4f} ({:.4f})  Time: {:.3f}s,  {:.1f}/s  "
      "LR: {:.3e}  Data: {:.0f}%",
      epoch, in_epoch, steps_per_epoch,
      100.0 * static_cast<double>(in_epoch) / static_cast<double>(steps_per_epoch),
      record.update.loss, record.mean_loss, step_seconds, state.images_per_second(),
      state.last_rate(), 100.0 * state.data_share()));
}

namespace {

/// "mAP 61.234  " of a multi-label set, else empty.
std::string precision_text(const ClassificationResult& result) {
  return result.mean_average_precision
             ? fmt::format("mAP {:.3f}  ", 100 * *result.mean_average_precision)
             : "";
}

}  // namespace

void LogHook::at_evaluation(TrainingState& state) {
  if (const auto& retrieval = state.evaluation.retrieval) {
    log_line(" * " + recall_text(*retrieval));
  }
  if (const auto& tasks = state.evaluation.tasks) {
    log_line(" * " + means_text(*tasks));
  }
  const auto& result = state.evaluation.result;
  log_line(fmt::format(
      " * epoch {:.2f}  {}Acc@1 {:.3f} ({:.3f}) Acc@5 {:.3f} ({:.3f})  loss {:.4f}  train loss "
      "{:.4f}  {:.0f} img/s  {}{}",
      state.epoch(), precision_text(result), 100 * result.top1, 100 * (1 - result.top1),
      100 * result.top5, 100 * (1 - result.top5), result.loss, state.evaluation.train_loss,
      state.images_per_second(), format_duration(state.progress.train_seconds),
      state.evaluation.is_best ? "  best" : ""));
  for (size_t i = 0; i < state.evaluation.averages.size(); ++i) {
    const auto& average = state.evaluation.averages[i];
    log_line(fmt::format(" * average {}  {}Acc@1 {:.3f} Acc@5 {:.3f}  loss {:.4f}",
                         state.ema->averages()[i].name(), precision_text(average),
                         100 * average.top1, 100 * average.top5, average.loss));
  }
}

}  // namespace softmoe
