#include "train/train_result.h"

#include "train/training_state.h"

namespace softmoe {

std::string best_name(const TrainResult& result) {
  return result.last.mean_average_precision ? "best_mean_average_precision" : "best_top1";
}

Json to_json(const TrainResult& result) {
  Json json;
  json["steps"] = result.steps;
  json[best_name(result)] = result.best_score;
  json["best_step"] = result.best_step;
  json["last"] = to_json(result.last);
  if (result.retrieval) {
    json["retrieval"] = to_json(*result.retrieval);
  }
  if (result.tasks) {
    json["tasks"] = to_json(*result.tasks, /*with_confusion=*/false);
  }
  if (!result.ema_best.empty()) {
    json["ema_" + best_name(result)] = result.ema_best;
  }
  json["train_seconds"] = result.train_seconds;
  json["images_per_second"] = result.images_per_second;
  if (result.traffic.summed > 0) {
    json["exchanged_bytes_per_update"] = result.traffic.exchanged;
    json["summed_bytes_per_update"] = result.traffic.summed;
  }
  json["parameters"] = result.parameters.total;
  json["trainable_parameters"] = result.parameters.learning;
  json["trainable_share"] = result.parameters.share();
  if (result.upcycled_step >= 0) {
    json["upcycled_step"] = result.upcycled_step;
  }
  if (!result.routing.is_null()) {
    json["routing"] = result.routing;
  }
  return json;
}

TrainResult train_result(const TrainingState& state, const std::filesystem::path& run_folder) {
  const auto& progress = state.progress;
  const auto images = static_cast<double>(progress.step * state.images_per_update());
  const double seconds = progress.train_seconds;
  std::map<std::string, double> ema_best;
  if (state.ema) {
    for (const auto& average : state.ema->averages()) {
      ema_best[average.name()] = average.best_score;
    }
  }
  return {.run_folder = run_folder,
          .steps = progress.step,
          .best_score = progress.best_score,
          .best_step = progress.best_step,
          .last = state.evaluation.result,
          .ema_best = std::move(ema_best),
          .train_seconds = seconds,
          .images_per_second = seconds > 0 ? images / seconds : 0.0,
          .traffic = state.sitting.traffic_per_update(),
          .parameters = state.learning,
          .retrieval = state.evaluation.retrieval,
          .tasks = state.evaluation.tasks,
          .routing = state.routing,
          .upcycled_step = progress.upcycled_step};
}

}  // namespace softmoe
