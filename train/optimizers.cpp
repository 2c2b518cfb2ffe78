// The table of optimizers and its members.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/scalar_tensor.h>

#include <array>

#include "ops/fused_update.h"
#include "train/optimizer.h"

namespace softmoe {
namespace {

/// Loshchilov and Hutter, arXiv:1711.05101, algorithm 2 with the schedule's rate as alpha.
class AdamW : public Optimizer {
 public:
  AdamW(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
      : Optimizer(parameters, options, {"exp_avg", "exp_avg_sq"}), options_(options) {}

 protected:
  void update_fused(Batch& batch, double lr) override {
    if (fused_update_takes(batch.parameters) && fused_update_takes(batch.gradients) &&
        fused_update_takes(batch.state[0]) && fused_update_takes(batch.state[1])) {
      fused_adamw(step_of(lr, batch), batch.gradients, batch.parameters, batch.state[0],
                  batch.state[1]);
      return;
    }
    apply_gradient_factor(batch);
    // The kernels read how often each parameter was updated from a tensor: one serves them all.
    std::map<std::pair<int, int>, torch::Tensor> steps_by_device;
    std::vector<torch::Tensor> step_tensors;
    for (const auto& parameter : batch.parameters) {
      const auto device = parameter.device();
      auto& step = steps_by_device[{static_cast<int>(device.type()), device.index()}];
      if (!step.defined()) {
        step = at::scalar_tensor(static_cast<double>(batch.steps),
                                 torch::dtype(torch::kFloat32).device(device));  // []
      }
      step_tensors.push_back(step);
    }
    at::_fused_adamw_(batch.parameters, batch.gradients, batch.state[0], batch.state[1],
                      /*max_exp_avg_sqs=*/{}, step_tensors, lr, options_.beta1, options_.beta2,
                      batch.decay, options_.opt_eps, /*amsgrad=*/false, /*maximize=*/false);
  }

  void update_plain(Batch& batch, double lr) override {
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

 private:
  /// What the moments lack of their full weight, as they start from zero.
  std::pair<double, double> corrections(const Batch& batch) const {
    const auto step = static_cast<double>(batch.steps);
    return {1.0 - std::pow(options_.beta1, step), 1.0 - std::pow(options_.beta2, step)};
  }

  kernels::AdamWStep step_of(double lr, const Batch& batch) const {
    const auto [correction1, correction2] = corrections(batch);
    return {.decay = static_cast<float>(1.0 - lr * batch.decay),
            .rate = static_cast<float>(lr / correction1),
            .beta1 = static_cast<float>(options_.beta1),
            .beta2 = static_cast<float>(options_.beta2),
            .inverse_correction = static_cast<float>(1.0 / std::sqrt(correction2)),
            .eps = static_cast<float>(options_.opt_eps),
            .gradient_factor = static_cast<float>(batch.gradient_factor)};
  }

  OptimizerOptions options_;
};

/// Gradient descent with heavy-ball momentum, as optax.trace: m = momentum m + g.
class Sgd : public Optimizer {
 public:
  Sgd(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
      : Optimizer(parameters, options, {"momentum"}), momentum_(options.momentum) {}

 protected:
  void update_fused(Batch& batch, double lr) override {
    apply_gradient_factor(batch);
    decay(batch, lr);
    // The kernel's own decay enters the momentum; ours must not.
    at::_fused_sgd_(batch.parameters, batch.gradients, batch.state[0], /*weight_decay=*/0.0,
                    momentum_, lr, /*dampening=*/0.0, /*nesterov=*/false, /*maximize=*/false,
                    /*is_first_step=*/false);
  }

  void update_plain(Batch& batch, double lr) override {
    apply_gradient_factor(batch);
    decay(batch, lr);
    at::_foreach_mul_(batch.state[0], momentum_);
    at::_foreach_add_(batch.state[0], batch.gradients);
    at::_foreach_add_(batch.parameters, batch.state[0], /*alpha=*/-lr);
  }

 private:
  static void decay(Batch& batch, double lr) {
    if (batch.decay != 0.0) {
      at::_foreach_mul_(batch.parameters, 1.0 - lr * batch.decay);
    }
  }

  double momentum_;
};

template <typename Member>
std::unique_ptr<Optimizer> make(const std::vector<NamedParameter>& parameters,
                                const OptimizerOptions& options) {
  return std::make_unique<Member>(parameters, options);
}

constexpr std::array<OptimizerRow, 2> kOptimizers{{
    {"adamw", "arXiv:1711.05101", make<AdamW>},
    {"sgd", "momentum as in arXiv:1609.04747, section 4.1", make<Sgd>},
}};

}  // namespace

std::span<const OptimizerRow> optimizers() { return kOptimizers; }

}  // namespace softmoe
