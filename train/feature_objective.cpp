#include "train/feature_objective.h"

#include <ATen/ops/layer_norm.h>

namespace softmoe {

torch::Tensor token_losses(const MatchedTokens& matched) {
  TORCH_CHECK_VALUE(matched.student.sizes() == matched.teacher.sizes(),
                    "token_losses: expected tokens ", matched.teacher.sizes(), ", found ",
                    matched.student.sizes());
  const auto dtype =
      matched.student.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto teacher = at::layer_norm(matched.teacher.to(dtype), {matched.teacher.size(2)});
  return (matched.student.to(dtype) - teacher).square().mean({1, 2});  // [batch]
}

ObjectiveLoss feature_objective(const ObjectiveOptions& options, const StepContext& context) {
  TORCH_CHECK_VALUE(!context.matched.empty(), "feature_objective: a step without matched tokens");
  torch::Tensor sum;
  for (const auto& matched : context.matched) {
    const auto losses = token_losses(matched);    // [batch]
    sum = sum.defined() ? sum + losses : losses;  // [batch]
  }
  const auto losses = sum * (feature_weight(*options.distillation, context.progress) /
                             static_cast<double>(context.matched.size()));  // [batch]
  return {.loss = losses.mean(), .image_losses = losses};
}

}  // namespace softmoe
