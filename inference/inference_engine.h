#pragma once
/// The interface of the engines behind InferenceModel.

#include <torch/types.h>

#include "inference/engine.h"
#include "vit/options.h"

namespace softmoe {

/// Runs one model.
class InferenceEngine : public Engine {
 public:
  using Engine::Engine;

  virtual const VitOptions& options() const = 0;
  /// [batch, feature_dim] fp32 of images [batch, in_chans, height, width].
  virtual torch::Tensor features(const torch::Tensor& images) = 0;
  /// [batch, num_classes] fp32 of features.
  virtual torch::Tensor logits(const torch::Tensor& features) = 0;
};

}  // namespace softmoe
