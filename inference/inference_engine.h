#pragma once
/// The interface of the engines behind InferenceModel.

#include <torch/types.h>

#include <cstdint>

#include "core/precision.h"
#include "vit/options.h"

namespace softmoe {

/// Runs one model. Calls may come from any thread, under InferenceMode.
class InferenceEngine {
 public:
  InferenceEngine(Precision precision, const torch::Device& device)
      : precision_(precision), device_(device) {}
  virtual ~InferenceEngine() = default;
  InferenceEngine(const InferenceEngine&) = delete;
  InferenceEngine& operator=(const InferenceEngine&) = delete;

  virtual const VitOptions& options() const = 0;
  /// Bytes of packed weights; 0 if modules compute.
  virtual int64_t weight_bytes() const { return 0; }
  /// [batch, feature_dim] fp32 of images [batch, in_chans, height, width].
  virtual torch::Tensor features(const torch::Tensor& images) = 0;
  /// [batch, num_classes] fp32 of features.
  virtual torch::Tensor logits(const torch::Tensor& features) = 0;

  Precision precision() const { return precision_; }
  const torch::Device& device() const { return device_; }

 private:
  Precision precision_;
  torch::Device device_;
};

}  // namespace softmoe
