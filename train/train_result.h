#pragma once
/// How a training run ended.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/options.h"
#include "eval/metrics.h"
#include "eval/retrieval.h"
#include "eval/task_evaluation.h"
#include "parallel/world.h"
#include "train/trainable.h"

namespace softmoe {

struct TrainingState;

struct TrainResult {
  std::filesystem::path run_folder;
  int64_t steps = 0;
  double best_score = 0.0;  ///< highest ClassificationResult::score() in validation, in [0, 1]
  int64_t best_step = 0;
  ClassificationResult last;                    ///< the last evaluation
  std::map<std::string, double> ema_best = {};  ///< best score of each average of weights
  double train_seconds = 0.0;                   ///< spent in updates, over all sittings
  double images_per_second = 0.0;               ///< of training, over all sittings
  World::Traffic traffic = {};  ///< of one process in one update, mean over this sitting
  LearningShare parameters;
  std::optional<RetrievalResult> retrieval = {};  ///< of the last evaluation, of images with texts
  std::optional<TaskEvaluation> tasks = {};       ///< of the last evaluation of a run that tunes
  Json routing = {};  ///< of the last record, as to_json() of ModelRouting; null for dense models
  int64_t upcycled_step =
      -1;  ///< updates of the dense model before it got MoE layers; -1: it did not
};

/// The name of the best score in JSON: "best_top1", or "best_mean_average_precision".
std::string best_name(const TrainResult& result);

/// All numbers of the result, without the folder.
Json to_json(const TrainResult& result);

/// The result of a run that has ended in `run_folder`.
TrainResult train_result(const TrainingState& state, const std::filesystem::path& run_folder);

}  // namespace softmoe
