#include "train/sgd.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_fused_sgd.h>

namespace softmoe {
namespace {

void decay_weights(const std::vector<torch::Tensor>& parameters, double lr, double decay) {
  if (decay != 0.0) {
    at::_foreach_mul_(parameters, 1.0 - lr * decay);
  }
}

}  // namespace

Sgd::Sgd(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options, {"momentum"}), momentum_(options.momentum) {}

void Sgd::update_fused(Batch& batch, double lr) {
  apply_gradient_factor(batch);
  decay_weights(batch.parameters, lr, batch.decay);
  // The kernel's own decay enters the momentum; ours must not.
  at::_fused_sgd_(batch.parameters, batch.gradients, batch.state[0], /*weight_decay=*/0.0,
                  momentum_, lr, /*dampening=*/0.0, /*nesterov=*/false, /*maximize=*/false,
                  /*is_first_step=*/false);
}

void Sgd::update_plain(Batch& batch, double lr) {
  apply_gradient_factor(batch);
  decay_weights(batch.parameters, lr, batch.decay);
  at::_foreach_mul_(batch.state[0], momentum_);
  at::_foreach_add_(batch.state[0], batch.gradients);
  at::_foreach_add_(batch.parameters, batch.state[0], /*alpha=*/-lr);
}

}  // namespace softmoe
