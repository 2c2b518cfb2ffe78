#pragma once
/// The objective of distillation.

#include "train/objective.h"

namespace softmoe {

/// How far the student is from its teachers, per image, [batch]: `logits` [batch, classes] are its
/// own, `teacher` [batch, classes] the probabilities that the teachers give at
/// `distillation.temperature`. The kind of the distance follows from the likelihood of `loss`.
///
/// Soft labels, at temperature T: T^2 times the Kullback-Leibler divergence of the student's
/// softmax(logits / T) from the teachers' probabilities, which are made to sum to 1; for a sigmoid
/// loss, the sum of those of each class by itself. The square keeps gradients at the scale of those
/// of labels (Hinton et al., arXiv:1503.02531, section 2).
///
/// Hard labels: the loss, without smoothing, for the most probable class of the teachers (Touvron
/// et al., arXiv:2012.12877, section 4).
torch::Tensor distillation_losses(const LossOptions& loss, const DistillationOptions& distillation,
                                  const torch::Tensor& logits, const torch::Tensor& teacher);

/// distillation_losses() of `context.distillation_logits` and `context.teacher`, both of which must
/// be there, with the weight teacher_weight().
ObjectiveLoss distillation_objective(const ObjectiveOptions& options, const StepContext& context);

}  // namespace softmoe
