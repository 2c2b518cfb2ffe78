#include "eval/evaluate.h"

#include "eval/multi_label_metrics.h"

namespace softmoe {

ClassificationResult evaluate(const Forward& forward, Loader& loader, int64_t num_classes,
                              Likelihood likelihood, const BatchLoopOptions& options) {
  ClassificationMetrics metrics(num_classes, likelihood);
  MultiLabelMetrics multi_label(num_classes);
  bool is_multi_label = false;
  auto loop = options;
  loop.note = [&] { return is_multi_label ? multi_label.note() : metrics.note(); };
  for_each_output(forward, loader, loop, [&](const Batch& batch, const torch::Tensor& logits) {
    is_multi_label = batch.labels.dim() == 2;
    if (is_multi_label) {
      multi_label.add(logits, batch.labels);
    } else {
      metrics.add(logits, batch.labels);
    }
  });
  if (options.world.any(is_multi_label)) {
    multi_label.join(options.world);
    return multi_label.result();
  }
  metrics.join(options.world, options.device);
  return metrics.result();
}

}  // namespace softmoe
