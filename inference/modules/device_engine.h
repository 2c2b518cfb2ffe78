#pragma once
/// Inference on CUDA (and whatever other device libtorch drives): the modules of vit/, with weights
/// cast once and passes recorded as graphs.

#include <mutex>
#include <optional>

#include "core/named_tensors.h"
#include "inference/engine.h"
#include "inference/modules/graph_runner.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// Whether the forward pass of such a model is the same sequence of device operators for every
/// batch of one size, so that it can be recorded: what the row of its router says.
bool is_recordable(const VitOptions& options);

/// Runs a model through its modules on `device`.
///
/// For bfloat16 the weights of all products of blocks, experts and pooling are kept in bf16, and
/// the modules run under autocast: products in bf16, the experts of a layer as one batched product;
/// the residual stream, norms, softmaxes and the logits of routers in fp32. The patch embedding
/// (whose dtype the residual stream starts from) and routers keep fp32 weights; the head computes
/// in fp32.
///
/// On CUDA the features of models that are recordable are computed by CUDA graphs (GraphRunner).
class DeviceEngine final : public InferenceEngine {
 public:
  /// `weights` are those of the model, on any device; nobody sees changes to them afterwards.
  /// Tensors that nobody else holds are freed one by one. Throws UsageError for 8-bit dtypes.
  DeviceEngine(const VitOptions& options, NamedTensors weights, Precision precision,
               const torch::Device& device);

  const VitOptions& options() const override { return options_; }
  torch::Tensor features(const torch::Tensor& images) override;
  torch::Tensor logits(const torch::Tensor& features) override;

  /// What computes.
  const VisionTransformer& modules() const { return model_; }
  /// Null where nothing is recorded.
  const GraphRunner* graphs() const { return runner_ ? &*runner_ : nullptr; }

 private:
  torch::Tensor run_modules(const torch::Tensor& images);

  VitOptions options_;
  VisionTransformer model_{nullptr};
  std::optional<GraphRunner> runner_;
  std::mutex mutex_;
};

}  // namespace softmoe
