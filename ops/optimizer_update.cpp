#include "ops/optimizer_update.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <map>

#include "ops/fused/update.h"
#include "ops/quantized_moments.h"

namespace softmoe {
namespace {

using Tensors = std::vector<torch::Tensor>;

/// Returns true if operators that walk over raw memory in step take the tensors.
bool is_walkable(const torch::Tensor& parameter, const torch::Tensor& gradient) {
  return (parameter.is_cpu() || parameter.is_cuda()) && parameter.is_non_overlapping_and_dense() &&
         gradient.device() == parameter.device() &&
         gradient.scalar_type() == parameter.scalar_type() &&
         gradient.strides() == parameter.strides();
}

struct SplitTensors {
  UpdatedTensors walkable;
  UpdatedTensors others;  ///< gradients in the dtype of the parameters
};

SplitTensors split(const UpdatedTensors& tensors) {
  SplitTensors result;
  for (size_t index = 0; index < tensors.parameters.size(); ++index) {
    const auto& parameter = tensors.parameters[index];
    const auto& gradient = tensors.gradients[index];
    const bool walks = is_walkable(parameter, gradient);
    auto& part = walks ? result.walkable : result.others;
    part.parameters.push_back(parameter);
    part.gradients.push_back(walks ? gradient : gradient.to(parameter.options()));
    part.state.resize(tensors.state.size());
    for (size_t kind = 0; kind < tensors.state.size(); ++kind) {
      part.state[kind].push_back(tensors.state[kind][index]);
    }
  }
  return result;
}

void multiply(const Tensors& tensors, double factor) {
  if (factor != 1.0) {
    at::_foreach_mul_(tensors, factor);
  }
}

/// By libtorch's fused operator.
void adamw_by_libtorch(const AdamWStep& step, const UpdatedTensors& tensors) {
  multiply(tensors.gradients, step.gradient_factor);
  // The operator reads how often each parameter was updated from a tensor: one serves them all.
  std::map<std::pair<int, int>, torch::Tensor> steps_by_device;
  Tensors step_tensors;
  for (const auto& parameter : tensors.parameters) {
    const auto device = parameter.device();
    auto& steps = steps_by_device[{static_cast<int>(device.type()), device.index()}];
    if (!steps.defined()) {
      steps = at::scalar_tensor(static_cast<double>(step.step),
                                torch::dtype(torch::kFloat32).device(device));  // []
    }
    step_tensors.push_back(steps);
  }
  at::_fused_adamw_(tensors.parameters, tensors.gradients, tensors.state[0], tensors.state[1],
                    /*max_exp_avg_sqs=*/{}, step_tensors, step.lr, step.beta1, step.beta2,
                    step.decay, step.eps, /*amsgrad=*/false, /*maximize=*/false);
}

/// For tensors of any layout.
void adamw_in_steps(const AdamWStep& step, const UpdatedTensors& tensors) {
  multiply(tensors.gradients, step.gradient_factor);
  const auto& [parameters, gradients, state] = tensors;
  const auto& [mean, mean_square] = std::tie(state[0], state[1]);
  const auto steps = static_cast<double>(step.step);
  // What the moments lack of their full weight, as they start from zero.
  const double correction1 = 1.0 - std::pow(step.beta1, steps);
  const double correction2 = 1.0 - std::pow(step.beta2, steps);
  at::_foreach_mul_(parameters, 1.0 - step.lr * step.decay);
  Tensors exact_mean;  // rounded only where it is stored
  for (size_t index = 0; index < mean.size(); ++index) {
    exact_mean.push_back(mean[index].to(parameters[index].scalar_type()));
  }
  at::_foreach_lerp_(exact_mean, gradients, 1.0 - step.beta1);
  at::_foreach_mul_(mean_square, step.beta2);
  at::_foreach_addcmul_(mean_square, gradients, gradients, 1.0 - step.beta2);
  auto denominator = at::_foreach_sqrt(mean_square);
  at::_foreach_div_(denominator, std::sqrt(correction2));
  at::_foreach_add_(denominator, step.eps);
  at::_foreach_addcdiv_(parameters, exact_mean, denominator, -step.lr / correction1);
  for (size_t index = 0; index < mean.size(); ++index) {
    mean[index].copy_(exact_mean[index]);  // itself unless its dtype is another
  }
}

/// Scales the gradients and decays the parameters.
void begin_sgd(const SgdStep& step, const UpdatedTensors& tensors) {
  multiply(tensors.gradients, step.gradient_factor);
  if (step.decay != 0.0) {
    at::_foreach_mul_(tensors.parameters, 1.0 - step.lr * step.decay);
  }
}

torch::Tensor norm_in_steps(const Tensors& tensors) {
  auto norms = at::_foreach_norm(tensors, /*ord=*/2, torch::kFloat32);
  for (auto& norm : norms) {
    norm = norm.to(norms.front().device());
  }
  return at::linalg_vector_norm(at::stack(norms));  // []
}

void clip_in_steps(const Tensors& gradients, const torch::Tensor& norm, double max_norm) {
  if (!norm.is_cpu()) {
    // Without a branch on its value the accelerator need not be waited for.
    at::_foreach_mul_(gradients, (max_norm / norm).clamp_max(1.0));
    return;
  }
  const double found = norm.item<double>();
  if (found > max_norm) {
    at::_foreach_mul_(gradients, max_norm / found);
  }
}

}  // namespace

void adamw_update(const AdamWStep& step, const UpdatedTensors& tensors) {
  const torch::NoGradGuard no_grad;
  const auto [walkable, others] = split(tensors);
  if (!walkable.parameters.empty()) {
    const bool has_short_mean =
        walkable.state[0].front().scalar_type() != walkable.parameters.front().scalar_type();
    fused::takes_adamw(walkable) ? fused::adamw(step, walkable)
    : has_short_mean             ? adamw_in_steps(step, walkable)
                                 : adamw_by_libtorch(step, walkable);
  }
  if (!others.parameters.empty()) {
    adamw_in_steps(step, others);
  }
}

void adamw_8bit_update(const AdamWStep& step, const UpdatedTensors& tensors) {
  const torch::NoGradGuard no_grad;
  if (fused::takes_adamw_8bit(tensors)) {
    fused::adamw_8bit(step, tensors);
    return;
  }
  const auto& means = MomentCode::of_means();
  const auto& squares = MomentCode::of_squares();
  for (size_t i = 0; i < tensors.parameters.size(); ++i) {
    const auto& parameter = tensors.parameters[i];
    auto values = parameter.to(torch::kFloat32).flatten().clone();  // [elements]
    const auto gradient = tensors.gradients[i].to(torch::kFloat32).flatten().clone();
    const auto mean = means.decoded(tensors.state[0][i], tensors.state[2][i]);
    const auto square = squares.decoded(tensors.state[1][i], tensors.state[3][i]);
    adamw_in_steps(step,
                   {.parameters = {values}, .gradients = {gradient}, .state = {{mean}, {square}}});
    parameter.copy_(values.view(parameter.sizes()));
    means.encode(mean, tensors.state[0][i], tensors.state[2][i]);
    squares.encode(square, tensors.state[1][i], tensors.state[3][i]);
  }
}

void sgd_update(const SgdStep& step, const UpdatedTensors& tensors) {
  const torch::NoGradGuard no_grad;
  const auto [walkable, others] = split(tensors);
  if (!walkable.parameters.empty()) {
    begin_sgd(step, walkable);
    // The operator's own decay enters the momentum; ours must not.
    at::_fused_sgd_(walkable.parameters, walkable.gradients, walkable.state[0],
                    /*weight_decay=*/0.0, step.momentum, step.lr, /*dampening=*/0.0,
                    /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/false);
  }
  if (!others.parameters.empty()) {
    begin_sgd(step, others);
    at::_foreach_mul_(others.state[0], step.momentum);
    at::_foreach_add_(others.state[0], others.gradients);
    at::_foreach_add_(others.parameters, others.state[0], /*alpha=*/-step.lr);
  }
}

GradientClip clip_for_update(const Tensors& gradients, double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients.empty()) {
    return {.norm = at::zeros({})};
  }
  if (fused::takes_update(gradients)) {
    const double norm = fused::global_norm(gradients);
    return {.norm = at::scalar_tensor(norm, torch::kFloat32),
            .gradient_factor = max_norm > 0 && norm > max_norm ? max_norm / norm : 1.0};
  }
  auto norm = norm_in_steps(gradients);  // []
  if (max_norm > 0) {
    clip_in_steps(gradients, norm, max_norm);
  }
  return {.norm = norm};
}

torch::Tensor clip_gradient_norm(const Tensors& gradients, double max_norm) {
  const auto [norm, factor] = clip_for_update(gradients, max_norm);
  if (factor != 1.0) {
    fused::multiply(gradients, factor);
  }
  return norm;
}

}  // namespace softmoe
