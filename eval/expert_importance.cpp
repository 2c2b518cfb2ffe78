#include "eval/expert_importance.h"

#include "core/error.h"

namespace softmoe {

std::map<int64_t, torch::Tensor> expert_importance(VisionTransformer model, Loader& loader,
                                                   const BatchLoopOptions& options) {
  TORCH_CHECK_VALUE(!model->is_training(),
                    "expert_importance: expected a model in evaluation mode");
  std::map<int64_t, torch::Tensor> sums;
  double images = 0.0;
  const auto forward = [&](const torch::Tensor& batch) {
    auto records = model->routing_records({.load = true});
    const auto features = model->forward_features(batch, &records);  // [batch, feature_dim]
    const auto weight = static_cast<double>(batch.size(0));
    for (const auto& [block, record] : records) {
      const auto& importance = record.load.importance;  // [experts]
      TORCH_INTERNAL_ASSERT(importance.defined(), "block ", block, " records no importance");
      const auto share = weight * importance.to(torch::kCPU, torch::kFloat64);  // [experts]
      auto& sum = sums[block];
      sum = sum.defined() ? sum + share : share;
    }
    images += weight;
    return features;
  };
  for_each_output(forward, loader, options, [](const Batch&, const torch::Tensor&) {});
  // Copied outside of inference mode, so that the result has no restrictions.
  for (auto& [block, sum] : sums) {
    sum = sum.clone() / images;  // [experts]
  }
  return sums;
}

}  // namespace softmoe
