#pragma once
/// The training step: forward, losses and backward of one batch.

#include <cstdint>
#include <map>

#include "train/objective.h"

namespace softmoe {

class FeatureMatcher;
struct ImageTextRun;
struct InstructionRun;
class Teacher;

/// How a step is computed.
struct StepOptions {
  torch::Dtype compute_dtype = torch::kFloat32;  ///< of autocast, in the forward pass
  bool record_load = false;                      ///< keep how the experts of MoE layers are used
  int64_t batches = 1;         ///< number of those that share an update; divides the gradients
  double loss_weight = 1.0;    ///< factor of the gradients
  double progress = 0.0;       ///< share of the run that is done, in [0, 1]
  Teacher* teacher = nullptr;  ///< of distillation; it sees the images of the batch
  FeatureMatcher* matcher = nullptr;      ///< of DistillationOptions::features; null without them
  ImageTextRun* image_text = nullptr;     ///< of the contrastive objective, whose model it has
  const JointGradients* joint = nullptr;  ///< of a batch of several whose pairs have one loss
  InstructionRun* instruction = nullptr;  ///< of a batch with questions, whose model it has
};

/// How the experts of each MoE layer are used, by the number of its block.
using ExpertLoads = std::map<int64_t, ExpertLoad>;

/// What a step returns beside gradients.
struct StepResult {
  torch::Tensor loss;  ///< [], the sum of all objectives; of one batch, not divided
  ExpertLoads loads;   ///< empty unless the options ask for it
  BlockValues values;  ///< of the objectives
  std::map<std::string, torch::Tensor> parts = {};  ///< [], the loss of each objective by name
};

/// The forward pass of `model` on `batch`, which is on the model's device, and the losses of all
/// objectives that `objectives` ask for, which must include distillation if there is a teacher. The
/// loss carries gradients.
StepResult step_loss(VisionTransformer& model, const Batch& batch,
                     const ObjectiveOptions& objectives, const StepOptions& options);

/// step_loss(), then backward: adds to the gradients of all parameters that learn. Nothing else
/// changes but the state of routers that have one.
StepResult train_step(VisionTransformer& model, const Batch& batch,
                      const ObjectiveOptions& objectives, const StepOptions& options);

}  // namespace softmoe
