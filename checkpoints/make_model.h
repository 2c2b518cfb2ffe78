#pragma once
/// Vision transformers by their options.

#include <cstdint>

#include "vit/vision_transformer.h"

namespace softmoe {

/// A model of `options` with the initial weights of `seed`, on `device`.
VisionTransformer make_model(const VitOptions& options, int64_t seed,
                             const torch::Device& device = torch::kCPU);

/// A model of `options` for its names and shapes. Its parameters are of `dtype` and take no memory
/// until they are written.
VisionTransformer unfilled_model(const VitOptions& options, torch::Dtype dtype = torch::kBFloat16);

}  // namespace softmoe
