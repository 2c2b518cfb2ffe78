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

void AdamW::update_fused(Batch& batch, double lr) {
  if (fused_update_takes(batch.parameters) && fused_update_takes(batch.gradients) &&
      fused_update_takes(batch.state[0]) && fused_update_takes(batch.state[1])) {
    const auto [correction1, correction2] = corrections(batch);
    fused_adamw({.decay = static_cast<float>(1.0 - lr * batch.decay),
                 .rate = static_cast<float>(lr / correction1),
                 .beta1 = static_cast<float>(options_.beta1),
                 .beta2 = static_cast<float>(options_.beta2),
                 .inverse_correction = static_cast<float>(1.0 / std::sqrt(correction2)),
                 .eps = static_cast<float>(options_.opt_eps),
                 .gradient_factor = static_cast<float>(batch.gradient_factor)},
                batch.gradients, batch.parameters, batch.state[0], batch.state[1]);
    return;
  }
  apply_gradient_factor(batch);
  at::_fused_adamw_(batch.parameters, batch.gradients, batch.state[0], batch.state[1],
                    /*max_exp_avg_sqs=*/{}, step_tensors(batch.parameters, batch.steps), lr,
                    options_.beta1, options_.beta2, batch.decay, options_.opt_eps,
                    /*amsgrad=*/false, /*maximize=*/false);
}

void AdamW::update_plain(Batch& batch, double lr) {
  apply_gradient_factor(batch);
  const auto [correction1, correction2] = corrections(batch);
  auto& mean = batch.state[0];
  auto& mean_square = batch.state[1];
  at::_foreach_mul_(batch.parameters, 1.0 - lr * batch.decay);
  at::_foreach_lerp_(mean, batch.gradients, 1.0 - options_.beta1);
  at::_foreach_mul_(mean_square, options_.beta2);
  at::_foreach_addcmul_(mean_square, batch.gradients, batch.gradients, 1.0 - options_.beta2);
  auto denominator = at::_foreach_sqrt(mean_square);
  at::_foreach_div_(denominator, std::sqrt(correction2));
  at::_foreach_add_(denominator, options_.opt_eps);
  at::_foreach_addcdiv_(batch.parameters, mean, denominator, -lr / correction1);
}

std::pair<double, double> AdamW::corrections(const Batch& batch) const {
  const auto step = static_cast<double>(batch.steps);
  return {1.0 - std::pow(options_.beta1, step), 1.0 - std::pow(options_.beta2, step)};
}

}  // namespace softmoe
