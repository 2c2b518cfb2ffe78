#include "train/contrastive_objective.h"

namespace softmoe {

torch::Tensor contrastive_loss(const ObjectiveOptions& options, const EmbeddedPairs& pairs) {
  const int64_t batch = pairs.images.size(0);
  const int64_t rows = loss_rows(options.loss, batch, batch);
  return options.contrastive.loss == ContrastiveLoss::kSigmoid
             ? sigmoid_contrastive_loss(pairs, rows)
             : softmax_contrastive_loss(pairs, rows);
}

ObjectiveLoss contrastive_objective(const ObjectiveOptions& options, const StepContext& context) {
  TORCH_CHECK_VALUE(context.pairs.images.defined(), "contrastive_objective: a step without texts");
  return {.loss = contrastive_loss(options, context.pairs)};
}

}  // namespace softmoe
