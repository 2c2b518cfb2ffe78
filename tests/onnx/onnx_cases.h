#pragma once
/// Small models for tests of ONNX exports.

#include <string>

#include "datasets/transforms.h"
#include "onnx/onnx_model.h"
#include "vit/small_models.h"

namespace softmoe::test {

/// A model as it comes out of a checkpoint.
inline LoadedModel exported_model(const VitOptions& options) {
  LoadedModel loaded;
  loaded.model = lively_model(options);
  const torch::NoGradGuard no_grad;
  torch::manual_seed(8);
  for (auto& parameter : loaded.model->named_parameters()) {
    const auto& name = parameter.key();
    const bool is_norm = name.find("norm") != std::string::npos && name.ends_with("weight");
    if (is_norm || name.ends_with("gamma") || name.ends_with("token")) {
      parameter.value().add_(torch::randn_like(parameter.value()), 0.3);
    }
    if (name.ends_with("combine_scale")) {
      parameter.value().sub_(0.7);  // else it would be that of dispatch
    }
    // Gates far apart, so that no rounding changes an expert.
    if (name.ends_with("router.weight")) {
      parameter.value().mul_(4.0);
    }
  }
  for (auto& buffer : loaded.model->named_buffers()) {
    if (buffer.key().ends_with("selection_bias")) {
      buffer.value().normal_(0.0, 0.2);
    }
  }
  loaded.model->eval();
  PreprocessOptions preprocess;
  preprocess.input_size = {options.in_chans, options.image_height(), options.image_width()};
  preprocess.mean = {0.485, 0.456, 0.406};
  preprocess.std = {0.229, 0.224, 0.225};
  loaded.description = {
      .name = "small", .options = options, .class_names = {}, .preprocess = preprocess};
  return loaded;
}

inline OnnxGraph graph_of(const LoadedModel& loaded, const OnnxOptions& options = {}) {
  return onnx_model(loaded.description, named_tensors(*loaded.model), options);
}

}  // namespace softmoe::test
