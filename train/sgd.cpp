#include "train/sgd.h"

namespace softmoe {

Sgd::Sgd(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options, {{.name = "momentum"}}), momentum_(options.momentum) {}

void Sgd::update(const Group& group, double lr) {
  sgd_update({.lr = lr,
              .decay = group.decay,
              .momentum = momentum_,
              .gradient_factor = group.gradient_factor},
             group.tensors);
}

}  // namespace softmoe
