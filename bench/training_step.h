#pragma once
/// One update of a model as the trainer makes it, for programs that measure.

#include <array>
#include <memory>
#include <string>

#include "train/optimizer.h"
#include "train/train_step.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// A model by name: `demo` and `demo_16x1` are those of configs/demo/upstream.toml, `p4_d192` and
/// `p4_d192_32x1` larger ones for its images; `softmoe_s16_32x6` is the zoo's vit_s16 with Soft MoE
/// layers of 32 experts and 6 slots each in its last half; other names are those of the zoo. Throws
/// UsageError for an unknown name.
VitOptions training_model(const std::string& name);

/// A model, AdamW and a batch of random images.
class TrainingStep {
 public:
  /// `dtype` is kFloat32 or kBFloat16, that of the products.
  TrainingStep(const VitOptions& options, torch::Dtype dtype, int64_t batch);

  /// Seconds of the forward pass with the loss, the backward pass, and clipping with the update.
  struct Parts {
    std::array<double, 3> seconds{};
    float loss = 0.0F;
  };
  Parts run();

 private:
  VisionTransformer model_;
  torch::Dtype dtype_;
  OptimizerOptions options_;
  std::unique_ptr<Optimizer> optimizer_;
  Batch examples_;
};

}  // namespace softmoe
