#pragma once
/// Inference by packed layers, on CPUs whose kernels compute in the precision (can_pack).

#include <mutex>

#include "core/named_tensors.h"
#include "inference/inference_engine.h"
#include "inference/packed/packed_pass.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// Runs a model whose weights were packed once, without operators of libtorch except in attention
/// pooling and in the decisions of routers.
class PackedEngine final : public InferenceEngine {
 public:
  /// `weights` as pack_layers takes them.
  PackedEngine(const VitOptions& options, NamedTensors weights, Precision precision);

  const VitOptions& options() const override { return pass_.layers().options; }
  int64_t weight_bytes() const override { return pass_.layers().bytes(); }
  torch::Tensor features(const torch::Tensor& images) override;
  torch::Tensor logits(const torch::Tensor& features) override;

 private:
  AttentionPool pool_;  // a small part of the work, so a module; null with other pooling
  PackedPass pass_;
  std::mutex mutex_;
};

}  // namespace softmoe
