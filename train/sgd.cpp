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

void Sgd::update_fused(Group& group, double lr) {
  apply_gradient_factor(group);
  decay_weights(group.parameters, lr, group.decay);
  // The kernel's own decay enters the momentum; ours must not.
  at::_fused_sgd_(group.parameters, group.gradients, group.state[0], /*weight_decay=*/0.0,
                  momentum_, lr, /*dampening=*/0.0, /*nesterov=*/false, /*maximize=*/false,
                  /*is_first_step=*/false);
}

void Sgd::update_plain(Group& group, double lr) {
  apply_gradient_factor(group);
  decay_weights(group.parameters, lr, group.decay);
  at::_foreach_mul_(group.state[0], momentum_);
  at::_foreach_add_(group.state[0], group.gradients);
  at::_foreach_add_(group.parameters, group.state[0], /*alpha=*/-lr);
}

}  // namespace softmoe
