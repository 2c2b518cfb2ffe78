#pragma once
/// Inference by the modules of vit/, on every device that libtorch drives.

#include <mutex>
#include <optional>

#include "core/named_tensors.h"
#include "inference/inference_engine.h"
#include "inference/modules/graph_runner.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// Returns true if the forward pass of such a model is the same sequence of device operators for
/// every batch of one size, so that it can be recorded. The row of its router says so.
bool is_recordable(const VitOptions& options);

/// Runs a model through its modules, in kFloat32, or in kBFloat16 under autocast: products in bf16,
/// the experts of a layer as one batched product; the residual stream, norms, softmaxes and the
/// logits of routers in fp32.
class ModuleEngine final : public InferenceEngine {
 public:
  /// Runs `model` as it is, where it is, with its head in `precision` too: as evaluations during
  /// training run it. Throws UsageError for other precisions than kFloat32 and kBFloat16.
  ModuleEngine(VisionTransformer model, Precision precision);

  /// Runs a model of `weights` (on any device) on `device`, with weights cast once and passes
  /// recorded. Changes to the weights afterwards have no effect. Tensors that nobody else holds are
  /// freed one by one. Throws UsageError for other precisions than kFloat32 and kBFloat16.
  ///
  /// For kBFloat16 the weights of all products of blocks, experts and pooling are kept in bf16. The
  /// patch embedding (whose dtype the residual stream starts from) and routers keep fp32 weights;
  /// the head computes in fp32. On CUDA the features of recordable models are computed by CUDA
  /// graphs (GraphRunner).
  ModuleEngine(const VitOptions& options, NamedTensors weights, Precision precision,
               const torch::Device& device);

  const VitOptions& options() const override { return options_; }
  torch::Tensor features(const torch::Tensor& images) override;
  torch::Tensor logits(const torch::Tensor& features) override;

  /// The modules that compute.
  const VisionTransformer& modules() const { return model_; }
  /// Null if nothing is recorded.
  const GraphRunner* graphs() const { return runner_ ? &*runner_ : nullptr; }

 private:
  torch::Tensor run_modules(const torch::Tensor& images);

  VitOptions options_;
  VisionTransformer model_;
  torch::Dtype input_dtype_ = torch::kFloat32;  // of images and features that modules take
  torch::Dtype head_dtype_ = torch::kFloat32;   // of the autocast of the head
  std::optional<GraphRunner> runner_;
  std::mutex mutex_;
};

}  // namespace softmoe
