#include "train/gradient_norm.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "ops/fused_update.h"

namespace softmoe {

torch::Tensor clip_gradient_norm(const std::vector<torch::Tensor>& gradients, double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients.empty()) {
    return at::zeros({});
  }
  if (fused_update_takes(gradients)) {
    const double found = fused_norm(gradients);
    if (max_norm > 0 && found > max_norm) {
      fused_multiply(gradients, max_norm / found);
    }
    return at::scalar_tensor(found, torch::kFloat32);  // []
  }
  auto norms = at::_foreach_norm(gradients, /*ord=*/2, torch::kFloat32);
  for (auto& norm : norms) {
    norm = norm.to(norms.front().device());
  }
  auto norm = at::linalg_vector_norm(at::stack(norms));  // []
  if (max_norm > 0) {
    if (norm.is_cpu()) {
      const double found = norm.item<double>();
      if (found > max_norm) {
        at::_foreach_mul_(gradients, max_norm / found);
      }
    } else {
      // Without a branch on its value the program does not wait for the accelerator.
      at::_foreach_mul_(gradients, (max_norm / norm).clamp_max(1.0));
    }
  }
  return norm;
}

}  // namespace softmoe
