#include "train/hooks/metrics_hook.h"

namespace softmoe {
namespace {

/// The mean over the batches of `update` of the loss of each objective, by name.
Json mean_parts(const ModelUpdate& update) {
  std::map<std::string, double> sums;
  for (const auto& batch : update.batches) {
    for (const auto& [name, loss] : batch.parts) {
      sums[name] += loss.item<double>();
    }
  }
  Json means;
  for (const auto& [name, sum] : sums) {
    means[name] = sum / static_cast<double>(update.batches.size());
  }
  return means;
}

}  // namespace

void MetricsHook::at_record(TrainingState& state, TrainingRecord& record) {
  const int64_t step = state.progress.step;
  Json metrics{{"step", step},
               {"epoch", state.epoch()},
               {"train_loss", record.mean_loss},
               {"grad_norm", record.update.gradient_norm},
               {"lr", state.last_rate()}};
  if (state.progress.upcycled_step >= 0) {
    metrics["upcycled_step"] = state.progress.upcycled_step;
  }
  if (state.image_size > 0) {
    metrics["image_size"] = state.image_size;
  }
  for (const auto& [group, norms] : record.update.norms) {
    metrics["norms"][group] = {{"grad", norms.gradient}, {"weight", norms.weight}};
  }
  if (state.options().objectives.distillation) {
    metrics["losses"] = mean_parts(record.update);
  }
  if (!record.routing.empty()) {
    metrics["routing"] = to_json(record.routing);
  }
  folder_.add_metrics(metrics);
  folder_.add_timing({{"step", step},
                      {"train_seconds", state.progress.train_seconds},
                      {"images_per_second", state.images_per_second()},
                      {"data_share", state.data_share()}});
}

void MetricsHook::at_evaluation(TrainingState& state) {
  const auto& evaluation = state.evaluation;
  folder_.add_summary({.epoch = state.epoch(),
                       .step = state.progress.step,
                       .train_loss = evaluation.train_loss,
                       .eval_loss = evaluation.result.loss,
                       .eval_top1 = evaluation.result.top1,
                       .eval_top5 = evaluation.result.top5,
                       .lr = state.last_rate(),
                       .eval_balanced_accuracy = evaluation.result.balanced_accuracy});
  Json record = to_json(evaluation.result);
  record.erase("confusion");
  if (evaluation.retrieval) {
    record["retrieval"] = to_json(*evaluation.retrieval);
  }
  if (evaluation.tasks) {
    record["tasks"] = to_json(*evaluation.tasks, /*with_confusion=*/false);
  }
  record["step"] = state.progress.step;
  record["epoch"] = state.epoch();
  folder_.add_evaluation(record);
  folder_.add_timing(
      {{"step", state.progress.step}, {"train_seconds", state.progress.train_seconds}});
}

}  // namespace softmoe
