#include "eval/features.h"

namespace softmoe {

FeatureSet extract_features(const Forward& forward, Loader& loader, const std::string& name,
                            const BatchLoopOptions& options) {
  std::vector<torch::Tensor> features;
  std::vector<torch::Tensor> labels;
  for_each_output(forward, loader, options, [&](const Batch& batch, const torch::Tensor& outputs) {
    features.push_back(outputs.to(torch::kCPU, torch::kFloat32));  // [batch, dim]
    labels.push_back(batch.labels);                                // [batch]
  });
  FeatureSet set{.name = name, .features = torch::cat(features), .labels = torch::cat(labels)};
  check_features(set);
  return set;
}

torch::Tensor pixel_features(const torch::Tensor& images) {
  return images.flatten(/*start_dim=*/1);  // [batch, channels * height * width]
}

}  // namespace softmoe
