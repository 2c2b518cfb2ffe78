#include "train/distillation_objective.h"

#include <ATen/ops/xlogy.h>

#include "core/tensor_check.h"

namespace softmoe {
namespace {

/// The entropy of `targets` [batch, classes] per image, [batch]: the least that a cross-entropy of
/// `likelihood` for them can be.
torch::Tensor target_entropy(const torch::Tensor& targets, Likelihood likelihood) {
  auto entropies = -at::xlogy(targets, targets);  // [batch, classes]
  if (likelihood == Likelihood::kSigmoid) {
    const auto others = (1.0 - targets).clamp_min(0.0);  // [batch, classes]
    entropies = entropies - at::xlogy(others, others);   // [batch, classes]
  }
  return entropies.sum(1);  // [batch]
}

}  // namespace

torch::Tensor distillation_losses(const LossOptions& loss, const DistillationOptions& distillation,
                                  const torch::Tensor& logits, const torch::Tensor& teacher) {
  check_shape("distillation_losses: logits", logits, {-1, -1});
  check_shape("distillation_losses: teacher", teacher, {logits.size(0), logits.size(1)});
  const auto& row = loss_row(loss.loss);
  const auto dtype = logits.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  if (distillation.labels == DistillationLabels::kHard) {
    const auto classes = teacher.argmax(/*dim=*/1);  // [batch]
    return row.loss(logits.to(dtype), target_probabilities(classes, logits.size(1),
                                                           /*smoothing=*/0.0, dtype));  // [batch]
  }
  auto targets = teacher.to(dtype);  // [batch, classes]
  if (row.likelihood == Likelihood::kSoftmax) {
    // The sigmoids of all classes may be 0.
    const auto sums = targets.sum(1, /*keepdim=*/true).clamp_min(1e-30);  // [batch, 1]
    targets = targets / sums;                                             // [batch, classes]
  }
  const double temperature = distillation.temperature;
  const auto losses = row.loss(logits.to(dtype) / temperature, targets) -
                      target_entropy(targets, row.likelihood);  // [batch]
  return losses * (temperature * temperature);                  // [batch]
}

ObjectiveLoss distillation_objective(const ObjectiveOptions& options, const StepContext& context) {
  TORCH_CHECK_VALUE(context.teacher.defined() && context.distillation_logits.defined(),
                    "distillation_objective: a step without a teacher");
  const auto losses = distillation_losses(options.loss, *options.distillation,
                                          context.distillation_logits, context.teacher) *
                      teacher_weight(*options.distillation, context.progress);  // [batch]
  return {.loss = losses.mean(), .image_losses = losses};
}

}  // namespace softmoe
