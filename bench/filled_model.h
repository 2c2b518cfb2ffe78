#pragma once
/// Models to measure.

#include "benchmark/vit_subject.h"
#include "checkpoints/model_checkpoint.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// A model in evaluation mode with weights of `dtype` that are good for measurements alone.
inline VisionTransformer filled_model(const VitOptions& options, torch::Dtype dtype) {
  auto model = unfilled_model(options, dtype);
  fill_parameters(*model);
  model->eval();
  return model;
}

}  // namespace softmoe
