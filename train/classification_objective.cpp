#include "train/classification_objective.h"

namespace softmoe {

ObjectiveLoss classification_objective(const ObjectiveOptions& options,
                                       const StepContext& context) {
  const auto& batch = context.batch;
  const auto& targets = batch.targets.defined() ? batch.targets : batch.labels;
  const auto losses = context.logits.defined()
                          ? classification_losses(options.loss, context.logits, targets)
                          : chunked_losses(options.loss, context.head, context.features, targets,
                                           context.loss_rows);  // [batch]
  return {.loss = losses.mean(), .image_losses = losses};
}

}  // namespace softmoe
