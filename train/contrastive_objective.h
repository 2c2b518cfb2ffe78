#pragma once
/// The objective of images and texts that belong together.

#include "train/objective.h"

namespace softmoe {

/// The loss that ContrastiveOptions name, of StepContext::pairs; it has no share per image. Throws
/// c10::ValueError for a step without pairs.
ObjectiveLoss contrastive_objective(const ObjectiveOptions& options, const StepContext& context);

/// The loss that `options` name of `pairs`, []; as many rows of logits are held at once as the loss
/// options say.
torch::Tensor contrastive_loss(const ObjectiveOptions& options, const EmbeddedPairs& pairs);

}  // namespace softmoe
