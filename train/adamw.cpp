#include "train/adamw.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>

#include <cmath>
#include <map>

#include "ops/fused_update.h"

namespace softmoe {
namespace {

/// `steps` as tensors [], one per parameter, for libtorch's kernels; parameters of one device share
/// theirs.
std::vector<torch::Tensor> step_tensors(const std::vector<torch::Tensor>& parameters,
                                        int64_t steps) {
  std::map<std::pair<int, int>, torch::Tensor> by_device;
  std::vector<torch::Tensor> tensors;
  for (const auto& parameter : parameters) {
    const auto device = parameter.device();
    auto& step = by_device[{static_cast<int>(device.type()), device.index()}];
    if (!step.defined()) {
      step = at::scalar_tensor(static_cast<double>(steps),
                               torch::dtype(torch::kFloat32).device(device));  // []
    }
    tensors.push_back(step);
  }
  return tensors;
}

}  // namespace

AdamW::AdamW(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options, {"exp_avg", "exp_avg_sq"}), options_(options) {}

void AdamW::update_fused(Group& group, double lr) {
  if (fused_update_takes(group.parameters) && fused_update_takes(group.gradients) &&
      fused_update_takes(group.state[0]) && fused_update_takes(group.state[1])) {
    const auto [correction1, correction2] = corrections(group);
    fused_adamw({.decay = static_cast<float>(1.0 - lr * group.decay),
                 .rate = static_cast<float>(lr / correction1),
                 .beta1 = static_cast<float>(options_.beta1),
                 .beta2 = static_cast<float>(options_.beta2),
                 .inverse_correction = static_cast<float>(1.0 / std::sqrt(correction2)),
                 .eps = static_cast<float>(options_.opt_eps),
                 .gradient_factor = static_cast<float>(group.gradient_factor)},
                group.gradients, group.parameters, group.state[0], group.state[1]);
    return;
  }
  apply_gradient_factor(group);
  at::_fused_adamw_(group.parameters, group.gradients, group.state[0], group.state[1],
                    /*max_exp_avg_sqs=*/{}, step_tensors(group.parameters, group.steps), lr,
                    options_.beta1, options_.beta2, group.decay, options_.opt_eps,
                    /*amsgrad=*/false, /*maximize=*/false);
}

void AdamW::update_plain(Group& group, double lr) {
  apply_gradient_factor(group);
  const auto [correction1, correction2] = corrections(group);
  auto& mean = group.state[0];
  auto& mean_square = group.state[1];
  at::_foreach_mul_(group.parameters, 1.0 - lr * group.decay);
  at::_foreach_lerp_(mean, group.gradients, 1.0 - options_.beta1);
  at::_foreach_mul_(mean_square, options_.beta2);
  at::_foreach_addcmul_(mean_square, group.gradients, group.gradients, 1.0 - options_.beta2);
  auto denominator = at::_foreach_sqrt(mean_square);
  at::_foreach_div_(denominator, std::sqrt(correction2));
  at::_foreach_add_(denominator, options_.opt_eps);
  at::_foreach_addcdiv_(group.parameters, mean, denominator, -lr / correction1);
}

std::pair<double, double> AdamW::corrections(const Group& group) const {
  const auto step = static_cast<double>(group.steps);
  return {1.0 - std::pow(options_.beta1, step), 1.0 - std::pow(options_.beta2, step)};
}

}  // namespace softmoe
