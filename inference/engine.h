#pragma once
/// What stands behind PackedModel.

#include "inference/packed/packed_layers.h"
#include "vit/options.h"

namespace softmoe {

/// Runs one model. Calls may come from any thread, under InferenceMode.
class InferenceEngine {
 public:
  InferenceEngine(InferenceDtype dtype, const torch::Device& device)
      : dtype_(dtype), device_(device) {}
  virtual ~InferenceEngine() = default;
  InferenceEngine(const InferenceEngine&) = delete;
  InferenceEngine& operator=(const InferenceEngine&) = delete;

  virtual const VitOptions& options() const = 0;
  /// Bytes of packed weights; 0 where the modules compute.
  virtual int64_t weight_bytes() const { return 0; }
  /// [batch, feature_dim] fp32 of images [batch, in_chans, height, width].
  virtual torch::Tensor features(const torch::Tensor& images) = 0;
  /// [batch, num_classes] fp32 of features.
  virtual torch::Tensor logits(const torch::Tensor& features) = 0;

  InferenceDtype dtype() const { return dtype_; }
  const torch::Device& device() const { return device_; }

 private:
  InferenceDtype dtype_;
  torch::Device device_;
};

/// Throws UsageError for dtypes that modules do not compute in: all but float32 and bfloat16.
void check_module_dtype(InferenceDtype dtype);

}  // namespace softmoe
