#include "train/classification_objective.h"

#include "train/distillation_options.h"

namespace softmoe {

ObjectiveLoss classification_objective(const ObjectiveOptions& options,
                                       const StepContext& context) {
  const auto& batch = context.batch;
  const auto& targets = batch.targets.defined() ? batch.targets : batch.labels;
  auto losses = context.logits.defined()
                    ? classification_losses(options.loss, context.logits, targets)
                    : chunked_losses(options.loss, context.head, context.features, targets,
                                     context.loss_rows);  // [batch]
  if (options.distillation) {
    losses = losses * label_weight(*options.distillation, context.progress);  // [batch]
  }
  return {.loss = losses.mean(), .image_losses = losses};
}

}  // namespace softmoe
