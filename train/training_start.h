#pragma once
/// What a training run starts from: a model with initial weights. fresh_start() draws them,
/// finetune_start.h takes those of a checkpoint, upcycle_start.h those of a dense checkpoint.

#include <cstdint>
#include <string>

#include "train/optimizer.h"
#include "vit/position_embedding.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// The model at the start of a run, and what its checkpoints say about it.
struct TrainingStart {
  std::string model_name;
  /// How learned positions go to another image size later on.
  PositionResize resize_mode = PositionResize::kBilinearCorners;
  VisionTransformer model{nullptr};  ///< with its initial weights
  /// State of another run's optimizer to continue from, for the parameters that it fits; or empty.
  Optimizer::State optimizer_state = {};
};

/// A model of `model`, called `name`, with the initial weights that `seed` draws. Throws UsageError
/// if the options contradict each other.
TrainingStart fresh_start(const std::string& name, const VitOptions& model, int64_t seed,
                          PositionResize resize_mode = PositionResize::kBilinearCorners);

}  // namespace softmoe
