#include "ops/linear.h"

#include "ops/fused/applies.h"
#include "ops/fused/linear.h"
#include "runtime/autocast_guard.h"

namespace softmoe {

torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight,
                     const torch::Tensor& bias) {
  const auto precision = fused::precision_of(x);
  return precision && fused::takes_linear(weight, bias)
             ? fused::linear(x, weight, bias, *precision)
             : torch::linear(x, weight, bias);  // [..., outputs]
}

torch::Tensor exact_linear(const torch::Tensor& x, const torch::Tensor& weight) {
  const bool is_double = x.scalar_type() == torch::kFloat64;
  if (fused::precision_of(x) && !is_double && fused::takes_linear(weight, {})) {
    return fused::linear(x, weight, /*bias=*/{}, Precision::kFloat32);  // [..., outputs]
  }
  const auto dtype = is_double ? torch::kFloat64 : torch::kFloat32;
  const AutocastGuard exact(x.device(), torch::kFloat32);
  return x.to(dtype).matmul(weight.to(dtype).t());  // [..., outputs]
}

}  // namespace softmoe
