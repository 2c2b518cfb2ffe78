#include "eval/evaluate.h"

namespace softmoe {

ClassificationResult evaluate(const Forward& forward, Loader& loader, int64_t num_classes,
                              Likelihood likelihood, const BatchLoopOptions& options) {
  ClassificationMetrics metrics(num_classes, likelihood);
  for_each_output(forward, loader, options, [&](const Batch& batch, const torch::Tensor& logits) {
    metrics.add(logits, batch.labels);
  });
  return metrics.result();
}

}  // namespace softmoe
