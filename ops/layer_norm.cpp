#include "ops/layer_norm.h"

#include "ops/compute_precision.h"
#include "ops/fused/applies.h"
#include "ops/fused/layer_norm.h"

namespace softmoe {
namespace {

bool is_fused(const torch::Tensor& x, const torch::Tensor& weight) {
  return fused::precision_of(x).has_value() && fused::takes_layer_norm(weight);
}

}  // namespace

torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, double eps) {
  return is_fused(x, weight) ? fused::layer_norm(x, weight, bias, eps)
                             : torch::layer_norm(x, {weight.size(0)}, weight, bias, eps);
}

NormedBranch layer_norm_branch(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, double eps, NormedFor use) {
  if (is_fused(x, weight)) {
    const auto precision =
        use == NormedFor::kProducts ? *fused::precision_of(x) : Precision::kFloat32;
    return fused::layer_norm_branch(x, weight, bias, eps, tensor_dtype(precision));
  }
  return {.normed = layer_norm(x, weight, bias, eps), .skip = x};
}

}  // namespace softmoe
