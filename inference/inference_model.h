#pragma once
/// Models for prediction alone: weights packed once, no autograd, no operators of libtorch between
/// the image and the logits.

#include <memory>
#include <string>

#include "core/named_tensors.h"
#include "inference/packed/packed_layers.h"
#include "vit/vision_transformer.h"

namespace softmoe {

class InferenceEngine;

/// A vision transformer that only predicts. Dense models and those with Soft MoE layers are packed
/// (PackedLayers) where the processor has AVX-512 with BF16; everything else, other routers, other
/// processors, CUDA, runs through the modules of vit/ behind the same functions. On CUDA they have
/// bf16 weights for bfloat16, and their passes are CUDA graphs where the router allows it
/// (DeviceEngine); results are there when the caller's stream gets to them.
///
/// Results agree with those of the modules in fp32: float32 to 1e-5 of the largest logit, bfloat16
/// and int8_experts to 2e-2, int8 to 5e-2 (of the norm). Calls may come from any thread; one runs
/// at a time. The memory for activations is kept and grows with the largest batch.
class InferenceModel {
 public:
  /// A model with the weights of `model`, on its device. Where nobody else holds the model its
  /// weights' memory is taken over.
  InferenceModel(VisionTransformer model, Precision precision);
  /// A model of `weights`, called `where` in errors. Where nobody else holds them their memory is
  /// taken over, so that no more is needed than for the larger of both forms. Throws InputError
  /// that lists what is missing, unknown or misshapen, UsageError for a dtype that the model, the
  /// processor or the device does not have.
  InferenceModel(const VitOptions& options, NamedTensors weights, const std::string& where,
                 Precision precision, const torch::Device& device = torch::kCPU);
  ~InferenceModel();
  InferenceModel(InferenceModel&&) noexcept;
  InferenceModel& operator=(InferenceModel&&) noexcept;

  const VitOptions& options() const;
  Precision precision() const;
  const torch::Device& device() const;
  /// Whether the model is packed, or runs through the modules.
  bool is_packed() const;
  /// Bytes of packed weights; 0 for modules.
  int64_t weight_bytes() const;

  /// What the head gets, [batch, feature_dim] fp32, from `images`
  /// [batch, in_chans, height, width] of any floating dtype.
  torch::Tensor forward_features(const torch::Tensor& images);
  /// Logits [batch, num_classes] fp32 of features; the features where there is no head.
  torch::Tensor forward_head(const torch::Tensor& features);
  /// Both.
  torch::Tensor forward(const torch::Tensor& images);

 private:
  std::unique_ptr<InferenceEngine> engine_;
};

}  // namespace softmoe
