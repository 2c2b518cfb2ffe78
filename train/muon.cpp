#include "train/muon.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/compute_precision.h"
#include "train/adamw.h"

namespace softmoe {
namespace {

/// A step X <- a X + (b A + c A^2) X with A = X X^T.
struct NewtonSchulzStep {
  double a;
  double b;
  double c;
};

/// leloykun.github.io/ponder/muon-opt-coeffs, as in modded-nanogpt and timm ("quintic").
constexpr std::array<NewtonSchulzStep, 5> kSteps{{{4.0848, -6.8946, 2.9270},
                                                  {3.9505, -6.3029, 2.6377},
                                                  {3.7418, -5.5913, 2.3037},
                                                  {2.8769, -3.1427, 1.2046},
                                                  {2.8366, -3.0525, 1.2012}}};
constexpr double kMinNorm = 1e-7;
constexpr int64_t kMinSide = 4;

/// The dtype of the products, which need no more bits than bf16 has.
torch::Dtype matrix_dtype(const torch::Tensor& parameter) {
  return parameter.scalar_type() == torch::kFloat32
             ? tensor_dtype(fastest_precision(parameter.device()))
             : parameter.scalar_type();
}

torch::Tensor zero_momentum(const NamedParameter& parameter) {
  return is_muon_matrix(parameter) ? at::zeros_like(parameter.tensor) : torch::Tensor();
}

torch::Tensor zero_moment(const NamedParameter& parameter) {
  return is_muon_matrix(parameter) ? torch::Tensor() : at::zeros_like(parameter.tensor);
}

}  // namespace

bool is_muon_matrix(const NamedParameter& parameter) {
  const auto& [name, tensor] = parameter;
  return blocks_up_to(name) > 0 && name.ends_with("weight") &&
         (tensor.dim() == 2 || tensor.dim() == 3) &&
         std::min(tensor.size(-1), tensor.size(-2)) >= kMinSide;
}

torch::Tensor orthogonalized(const torch::Tensor& matrices, torch::Dtype dtype) {
  const bool is_tall = matrices.size(-2) > matrices.size(-1);
  auto x = (is_tall ? matrices.mT() : matrices).to(dtype);  // [..., short, long]
  x = x / x.norm(2, {-2, -1}, /*keepdim=*/true).clamp_min(kMinNorm);
  for (const auto& [a, b, c] : kSteps) {
    const auto gram = x.matmul(x.mT());                         // [..., short, short]
    const auto mixed = gram.mul(b).add_(gram.matmul(gram), c);  // [..., short, short]
    x = x.mul(a).add_(mixed.matmul(x));                         // [..., short, long]
  }
  return (is_tall ? x.mT() : x).to(matrices.scalar_type());
}

Muon::Muon(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options,
                {{.name = "momentum", .zeros = zero_momentum},
                 {.name = "exp_avg", .zeros = zero_moment},
                 {.name = "exp_avg_sq", .zeros = zero_moment}}),
      options_(options) {}

void Muon::update(const Group& group, double lr) {
  UpdatedTensors others;
  others.state.resize(2);
  const auto& [parameters, gradients, state] = group.tensors;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (state[0][i].defined()) {
      update_matrix(group, i, lr);
      continue;
    }
    others.parameters.push_back(parameters[i]);
    others.gradients.push_back(gradients[i]);
    others.state[0].push_back(state[1][i]);
    others.state[1].push_back(state[2][i]);
  }
  adamw_update(adamw_step(options_, lr, group.decay, group.steps, group.gradient_factor), others);
}

void Muon::update_matrix(const Group& group, size_t index, double lr) const {
  auto parameter = group.tensors.parameters[index];
  auto momentum = group.tensors.state[0][index];
  const auto gradient = scaled_gradient(group, index);
  momentum.lerp_(gradient, 1.0 - options_.momentum);
  const auto direction =
      orthogonalized(gradient.lerp(momentum, options_.momentum), matrix_dtype(parameter));
  const auto side = static_cast<double>(std::max(parameter.size(-1), parameter.size(-2)));
  parameter.mul_(1.0 - lr * group.decay).sub_(direction, lr * 0.2 * std::sqrt(side));
}

}  // namespace softmoe
