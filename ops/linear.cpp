#include "ops/linear.h"

#include "ops/fused/applies.h"
#include "ops/fused/linear.h"
#include "runtime/autocast_guard.h"

namespace softmoe {

torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight,
                     const torch::Tensor& bias) {
  return torch::linear(x, weight, bias);
}

torch::Tensor exact_linear(const torch::Tensor& x, const torch::Tensor& weight) {
  if (fused::precision_of(x) && fused::takes_linear(x, weight)) {
    return fused::exact_linear(x, weight);  // [..., outputs]
  }
  const auto dtype = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const AutocastGuard exact(x.device(), torch::kFloat32);
  return x.to(dtype).matmul(weight.to(dtype).t());  // [..., outputs]
}

}  // namespace softmoe
