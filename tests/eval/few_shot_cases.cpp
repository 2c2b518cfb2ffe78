#include "eval/few_shot_cases.h"

namespace softmoe::test {

std::vector<double> to_vector(const torch::Tensor& tensor) {
  const auto exact = tensor.to(torch::kFloat64).contiguous();
  const auto* data = exact.const_data_ptr<double>();
  return {data, data + exact.numel()};
}

FeatureSet clusters(const std::string& name, int64_t examples, int64_t dim, int64_t classes,
                    double spread, int64_t seed) {
  torch::manual_seed(seed);
  const auto labels = torch::arange(examples, torch::kInt64).remainder(classes);
  const auto centers = torch::eye(classes, dim);  // [classes, dim]
  return {.name = name,
          .features = centers.index_select(0, labels) + spread * torch::randn({examples, dim}),
          .labels = labels};
}

}  // namespace softmoe::test
