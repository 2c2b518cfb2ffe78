#include "train/train_result.h"

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

}  // namespace softmoe
