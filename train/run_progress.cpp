#include "train/run_progress.h"

namespace softmoe {

Json to_json(const RunProgress& progress, double epoch) {
  Json json{{"step", progress.step},
            {"epoch", epoch},
            {"skipped_updates", progress.skipped_updates},
            {"evaluated_step", progress.evaluated_step},
            {"interval_loss", progress.interval_loss},
            {"interval_updates", progress.interval_updates},
            {"epoch_loss", progress.epoch_loss},
            {"epoch_updates", progress.epoch_updates},
            {"best_top1", progress.best_score},
            {"best_step", progress.best_step},
            {"evaluations_since_best", progress.evaluations_since_best},
            {"train_seconds", progress.train_seconds},
            {"ended_max_time", progress.ended_max_time}};
  if (progress.upcycled_step >= 0) {
    json["upcycled_step"] = progress.upcycled_step;
    json["upcycled_seconds"] = progress.upcycled_seconds;
  }
  return json;
}

RunProgress run_progress(const Json& json) {
  return {.step = json.at("step"),
          .skipped_updates = json.value("skipped_updates", int64_t{0}),
          .evaluated_step = json.at("evaluated_step"),
          .interval_loss = json.at("interval_loss"),
          .interval_updates = json.at("interval_updates"),
          .epoch_loss = json.at("epoch_loss"),
          .epoch_updates = json.at("epoch_updates"),
          .best_score = json.at("best_top1"),
          .best_step = json.at("best_step"),
          .evaluations_since_best = json.value("evaluations_since_best", int64_t{0}),
          .train_seconds = json.at("train_seconds"),
          .ended_max_time = json.value("ended_max_time", 0.0),
          .upcycled_step = json.value("upcycled_step", int64_t{-1}),
          .upcycled_seconds = json.value("upcycled_seconds", 0.0)};
}

}  // namespace softmoe
