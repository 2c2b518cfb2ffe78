#include "train/classification_objective.h"

namespace softmoe {

ObjectiveLoss classification_objective(const ObjectiveOptions& options,
                                       const StepContext& context) {
  const auto losses =
      classification_losses(options.loss, context.logits, context.batch.labels);  // [batch]
  return {.loss = losses.mean(), .image_losses = losses};
}

}  // namespace softmoe
