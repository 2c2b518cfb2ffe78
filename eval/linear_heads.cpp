#include "eval/linear_heads.h"

#include "core/rng.h"
#include "core/tensor_check.h"

namespace softmoe {
namespace {

constexpr double kMomentum = 0.9;
constexpr double kInitialDeviation = 0.01;

torch::Tensor initial_weight(int64_t num_classes, int64_t dim, int64_t seed) {
  Rng rng(stream_key(static_cast<uint64_t>(seed), "linear head"));
  auto weight = torch::empty({num_classes, dim}, torch::kFloat32);
  auto* values = weight.data_ptr<float>();
  for (int64_t i = 0; i < weight.numel(); ++i) {
    values[i] = static_cast<float>(kInitialDeviation * rng.normal());
  }
  return weight;  // [classes, dim]
}

}  // namespace

LinearHeads::LinearHeads(int64_t dim, int64_t num_classes, const std::vector<double>& rates,
                         int64_t seed, const torch::Device& device) {
  TORCH_CHECK_VALUE(dim > 0 && num_classes > 0 && !rates.empty(),
                    "LinearHeads: expected features, classes and learning rates, found ", dim, ", ",
                    num_classes, " and ", rates.size());
  const auto heads = std::ssize(rates);
  rates_ = torch::tensor(rates, torch::kFloat32).to(device).unsqueeze(1);  // [heads, 1]
  weight_ = initial_weight(num_classes, dim, seed)
                .to(device)
                .repeat({heads, 1, 1});                           // [heads, classes, dim]
  bias_ = torch::zeros({heads, num_classes}, weight_.options());  // [heads, classes]
  weight_velocity_ = torch::zeros({heads * num_classes, dim}, weight_.options());
  bias_velocity_ = torch::zeros_like(bias_);  // [heads, classes]
}

torch::Tensor LinearHeads::logits(const torch::Tensor& features) const {
  check_shape("LinearHeads: features", features, {-1, weight_.size(2)});
  const auto flat = torch::addmm(bias_.flatten(), features, weight_.flatten(0, 1).t());
  return flat.view(
      {features.size(0), weight_.size(0), weight_.size(1)});  // [batch, heads, classes]
}

void LinearHeads::update(const torch::Tensor& features, const torch::Tensor& labels,
                         double factor) {
  check_shape("LinearHeads: labels", labels, {features.size(0)});
  const torch::NoGradGuard no_grad;
  const auto batch = features.size(0);
  const auto heads = weight_.size(0);
  // The gradient of the cross-entropy by the logits: probabilities minus the label's one.
  auto gradient = logits(features).softmax(/*dim=*/2);                    // [batch, heads, classes]
  const auto own = labels.view({batch, 1, 1}).expand({batch, heads, 1});  // [batch, heads, 1]
  gradient.scatter_add_(/*dim=*/2, own, torch::full_like(own, -1, gradient.options()));
  gradient.div_(static_cast<double>(batch));
  const auto rows = gradient.flatten(/*start_dim=*/1);  // [batch, heads * classes]
  weight_velocity_.mul_(kMomentum).addmm_(rows.t(), features);
  bias_velocity_.mul_(kMomentum).add_(gradient.sum(/*dim=*/0));
  const auto rates = rates_ * factor;  // [heads, 1]
  weight_.flatten(/*start_dim=*/1).addcmul_(rates, weight_velocity_.view({heads, -1}), -1);
  bias_.addcmul_(rates, bias_velocity_, -1);
}

}  // namespace softmoe
