#include "train/train_result.h"

namespace softmoe {

Json to_json(const TrainResult& result) {
  Json json;
  json["steps"] = result.steps;
  json["best_top1"] = result.best_top1;
  json["best_step"] = result.best_step;
  json["last"] = to_json(result.last);
  if (!result.ema_top1.empty()) {
    json["ema_best_top1"] = result.ema_top1;
  }
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

}  // namespace softmoe
