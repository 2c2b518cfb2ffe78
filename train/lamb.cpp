#include "train/lamb.h"

#include <cmath>

namespace softmoe {
namespace {

/// The norm of `parameter` over that of `update`, 1 if one of them is 0; [].
torch::Tensor trust_ratio(const torch::Tensor& parameter, const torch::Tensor& update) {
  const auto weight_norm = parameter.norm();  // []
  const auto update_norm = update.norm();     // []
  const auto ratio = weight_norm / update_norm;
  return torch::where((weight_norm > 0).logical_and(update_norm > 0), ratio,
                      torch::ones_like(ratio));
}

}  // namespace

Lamb::Lamb(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options, {{.name = "exp_avg"}, {.name = "exp_avg_sq"}}),
      options_(options) {}

void Lamb::update(const Group& group, double lr) {
  const auto steps = static_cast<double>(group.steps);
  const double correction1 = 1.0 - std::pow(options_.beta1, steps);
  const double correction2 = 1.0 - std::pow(options_.beta2, steps);
  for (size_t i = 0; i < group.tensors.parameters.size(); ++i) {
    auto parameter = group.tensors.parameters[i];
    auto mean = group.tensors.state[0][i];
    auto square = group.tensors.state[1][i];
    const auto gradient = scaled_gradient(group, i);
    mean.lerp_(gradient, 1.0 - options_.beta1);
    square.mul_(options_.beta2).addcmul_(gradient, gradient, 1.0 - options_.beta2);
    auto direction = mean / correction1 / ((square / correction2).sqrt_() + options_.opt_eps);
    if (group.decay != 0.0) {
      direction.add_(parameter, group.decay);
      direction.mul_(trust_ratio(parameter, direction));
    }
    parameter.sub_(direction, lr);
  }
}

}  // namespace softmoe
