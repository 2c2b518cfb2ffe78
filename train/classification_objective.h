#pragma once
/// The objective of classification.

#include "train/objective.h"

namespace softmoe {

/// The loss that `options.loss` name of the logits for the targets of the batch, or its labels if
/// it has none: its mean, and its share per image. With distillation, both have the weight that the
/// teachers leave (label_weight()).
ObjectiveLoss classification_objective(const ObjectiveOptions& options, const StepContext& context);

}  // namespace softmoe
