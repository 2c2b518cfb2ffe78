#include "eval/ridge_probe.h"

#include "core/tensor_check.h"

namespace softmoe {
namespace {

constexpr double kBiasFeature = 100.0;
constexpr double kDeviationFloor = 1e-5;

torch::Tensor signed_targets(const torch::Tensor& labels, int64_t num_classes) {
  auto targets = torch::full({labels.size(0), num_classes}, -1.0, torch::kFloat64);
  return targets.scatter_(/*dim=*/1, labels.unsqueeze(1), 1.0);  // [examples, classes]
}

}  // namespace

RidgeProbe::RidgeProbe(const torch::Tensor& features, const torch::Tensor& labels,
                       int64_t num_classes) {
  check_shape("RidgeProbe: features", features, {-1, -1});
  check_shape("RidgeProbe: labels", labels, {features.size(0)});
  TORCH_CHECK_VALUE(features.numel() > 0, "RidgeProbe: expected examples, found none");
  const auto exact = features.to(torch::kFloat64);                    // [examples, dim]
  mean_ = exact.mean(/*dim=*/0, /*keepdim=*/true);                    // [1, dim]
  std_ = exact.std(/*dim=*/0, /*unbiased=*/false, /*keepdim=*/true);  // [1, dim]
  std_ = std_ + kDeviationFloor;                                      // [1, dim]
  const auto inputs = standardize(exact);                             // [examples, dim + 1]
  const auto targets = signed_targets(labels, num_classes);           // [examples, classes]
  if (inputs.size(0) >= inputs.size(1)) {
    const auto gram = inputs.t().matmul(inputs);  // [dim + 1, dim + 1]
    std::tie(eigenvalues_, left_) = torch::linalg_eigh(gram, "L");
    right_ = left_.t().matmul(inputs.t().matmul(targets));  // [dim + 1, classes]
  } else {
    const auto gram = inputs.matmul(inputs.t());  // [examples, examples]
    const auto [eigenvalues, vectors] = torch::linalg_eigh(gram, "L");
    eigenvalues_ = eigenvalues;            // [examples]
    left_ = inputs.t().matmul(vectors);    // [dim + 1, examples]
    right_ = vectors.t().matmul(targets);  // [examples, classes]
  }
  // Eigenvalues of a Gram matrix are not negative; rounding must not cancel a small lambda.
  eigenvalues_ = eigenvalues_.clamp_min(0);  // [rank]
}

torch::Tensor RidgeProbe::weights(double lambda) const {
  TORCH_CHECK_VALUE(lambda > 0, "RidgeProbe: expected lambda > 0, found ", lambda);
  return (left_ / (eigenvalues_ + lambda)).matmul(right_);  // [dim + 1, classes]
}

torch::Tensor RidgeProbe::standardize(const torch::Tensor& features) const {
  const auto standard = (features.to(torch::kFloat64) - mean_) / std_;  // [examples, dim]
  const auto bias = torch::full({features.size(0), 1}, kBiasFeature, torch::kFloat64);
  return torch::cat({standard, bias}, /*dim=*/1);  // [examples, dim + 1]
}

}  // namespace softmoe
