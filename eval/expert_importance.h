#pragma once
/// How important each expert is to a model, measured on images.

#include <cstdint>
#include <map>

#include "eval/batch_loop.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// By MoE block, [experts] float64 on the CPU: the share of each expert in the combine weights,
/// over all tokens of the images that the loop runs over (ExpertLoad::importance). The shares sum
/// to 1. `model` must be in evaluation mode, on the device of `options`.
std::map<int64_t, torch::Tensor> expert_importance(VisionTransformer model, Loader& loader,
                                                   const BatchLoopOptions& options);

}  // namespace softmoe
