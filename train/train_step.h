#pragma once
/// One training step by itself, as benchmarks time it.

#include <functional>

#include "vit/vision_transformer.h"

namespace softmoe {

/// Forward and backward under autocast to `dtype`, gradient clipping and one AdamW update of
/// `model`; gives the loss []. Takes images [batch, channels, height, width] and labels [batch].
std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& labels)>
make_train_step(VisionTransformer model, torch::Dtype dtype);

}  // namespace softmoe
