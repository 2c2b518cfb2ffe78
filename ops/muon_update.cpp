#include "ops/muon_update.h"

#include <ATen/ops/baddbmm.h>

#include <algorithm>
#include <cmath>

#include "ops/compute_precision.h"
#include "ops/fused/muon.h"

namespace softmoe {
namespace {

/// The dtype of the products, which need no more bits than bf16 has.
torch::Dtype matrix_dtype(const torch::Tensor& parameter) {
  return parameter.scalar_type() == torch::kFloat32
             ? tensor_dtype(fastest_precision(parameter.device()))
             : parameter.scalar_type();
}

void muon_by_libtorch(const MuonStep& step, const UpdatedTensors& tensors) {
  for (size_t index = 0; index < tensors.parameters.size(); ++index) {
    const auto& parameter = tensors.parameters[index];
    const auto& momentum = tensors.state[0][index];
    auto gradient = tensors.gradients[index].to(parameter.scalar_type());
    if (step.gradient_factor != 1.0) {
      gradient = gradient.mul(step.gradient_factor);
    }
    momentum.lerp_(gradient, 1.0 - step.momentum);
    const auto direction =
        orthogonalized(gradient.lerp(momentum, step.momentum), matrix_dtype(parameter));
    parameter.mul_(1.0 - step.lr * step.decay)
        .sub_(direction, step.lr * muon_factor(parameter.size(-2), parameter.size(-1)));
  }
}

}  // namespace

double muon_factor(int64_t rows, int64_t columns) {
  return 0.2 * std::sqrt(static_cast<double>(std::max(rows, columns)));
}

void muon_update(const MuonStep& step, const UpdatedTensors& tensors) {
  const torch::NoGradGuard no_grad;
  if (fused::takes_muon(tensors)) {
    fused::muon(step, tensors);
  } else {
    muon_by_libtorch(step, tensors);
  }
}

torch::Tensor orthogonalized(const torch::Tensor& matrices, torch::Dtype dtype) {
  const bool is_tall = matrices.size(-2) > matrices.size(-1);
  auto x = matrices.to(dtype).contiguous().view({-1, matrices.size(-2), matrices.size(-1)});
  x = x /
      x.norm(2, {-2, -1}, /*keepdim=*/true).clamp_min(kMinMuonNorm);  // [matrices, rows, columns]
  for (const auto& [a, b, c] : kNewtonSchulzSteps) {
    const auto gram = is_tall ? x.mT().bmm(x) : x.bmm(x.mT());  // [matrices, short, short]
    const auto mixed = at::baddbmm(gram, gram, gram, b, c);     // [matrices, short, short]
    x = is_tall ? at::baddbmm(x, x, mixed, a) : at::baddbmm(x, mixed, x, a);
  }
  return x.view(matrices.sizes()).to(matrices.scalar_type());
}

}  // namespace softmoe
