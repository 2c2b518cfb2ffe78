#pragma once
/// Models that only predict.

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/named_tensors.h"
#include "core/precision.h"
#include "vit/vision_transformer.h"

namespace softmoe {

class InferenceEngine;

/// The precision of inference that `name` stands for on `device`: float32, bfloat16, int8,
/// int8_experts, or "auto", bfloat16 if it is fast there, else float32. Throws UsageError for other
/// names.
Precision inference_precision(const std::string& name, const torch::Device& device);

/// A vision transformer that only predicts.
///
/// On a CPU, models are packed (PackedEngine): weights are packed once, and between the image and
/// the logits there is no autograd, and no operator of libtorch but in attention pooling and in the
/// decisions of routers. Models that can_pack() excludes, and those on other devices, run through
/// the modules of vit/ behind the same functions (ModuleEngine). On CUDA they have bf16 weights for
/// kBFloat16, and their passes are CUDA graphs if the router allows it; results are ready when the
/// caller's stream gets to them.
///
/// Results agree with those of the modules in fp32: kFloat32 to 1e-5 of the largest logit,
/// kBFloat16 and kInt8Experts to 2e-2, kInt8 to 5e-2 (of the norm); a sparse router may send tokens
/// whose best experts are nearly equal to another of them. Calls may come from any thread; one runs
/// at a time. The memory for activations is kept and grows with the largest batch.
class InferenceModel {
 public:
  /// A model with the weights of `model`, on its device. If nobody else holds the model, its
  /// weights' memory is taken over. Throws UsageError for a precision that the model, the processor
  /// or the device does not have.
  InferenceModel(VisionTransformer model, Precision precision);
  /// A model of `weights`, called `where` in errors. If nobody else holds them, their memory is
  /// taken over, so that no more is needed than for the larger of both forms. Throws InputError
  /// that lists what is missing, unknown or misshapen, UsageError for a precision that the model,
  /// the processor or the device does not have.
  InferenceModel(const VitOptions& options, NamedTensors weights, const std::string& where,
                 Precision precision, const torch::Device& device = torch::kCPU);
  ~InferenceModel();
  InferenceModel(InferenceModel&&) noexcept;
  InferenceModel& operator=(InferenceModel&&) noexcept;

  const VitOptions& options() const;
  Precision precision() const;
  const torch::Device& device() const;
  /// Returns true if the model is packed, false if it runs through the modules.
  bool is_packed() const;
  /// Bytes of packed weights; 0 for modules.
  int64_t weight_bytes() const;

  /// The inputs of the head, [batch, feature_dim] fp32, of `images`
  /// [batch, in_chans, height, width] of any floating dtype.
  torch::Tensor forward_features(const torch::Tensor& images);
  /// Logits [batch, num_classes] fp32 of features; the features if there is no head.
  torch::Tensor forward_head(const torch::Tensor& features);
  /// forward_head() of forward_features().
  torch::Tensor forward(const torch::Tensor& images);

 private:
  std::unique_ptr<InferenceEngine> engine_;
};

}  // namespace softmoe
