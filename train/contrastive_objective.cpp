#include "train/contrastive_objective.h"

namespace softmoe {
namespace {

/// The joint loss, [], with this batch's part of its gradients. As the gradients of batches are
/// averaged, that is as many times too large as there are batches.
torch::Tensor joint_loss(const JointGradients& joint, const EmbeddedPairs& pairs) {
  const auto sum = (pairs.images * joint.images).sum() + (pairs.texts * joint.texts).sum();  // []
  return joint.loss + static_cast<double>(joint.batches) * (sum - sum.detach());
}

}  // namespace

torch::Tensor contrastive_loss(const ObjectiveOptions& options, const EmbeddedPairs& pairs) {
  const int64_t batch = pairs.images.size(0);
  const int64_t rows = loss_rows(options.loss, batch, batch);
  return options.contrastive.loss == ContrastiveLoss::kSigmoid
             ? sigmoid_contrastive_loss(pairs, rows)
             : softmax_contrastive_loss(pairs, rows);
}

ObjectiveLoss contrastive_objective(const ObjectiveOptions& options, const StepContext& context) {
  TORCH_CHECK_VALUE(context.pairs.images.defined(), "contrastive_objective: a step without texts");
  if (context.joint.loss.defined()) {
    return {.loss = joint_loss(context.joint, context.pairs)};
  }
  return {.loss = contrastive_loss(options, context.pairs)};
}

}  // namespace softmoe
