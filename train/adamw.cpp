#include "train/adamw.h"

namespace softmoe {

AdamW::AdamW(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options, {{.name = "exp_avg"}, {.name = "exp_avg_sq"}}),
      options_(options) {}

void AdamW::update(const Group& group, double lr) {
  adamw_update({.lr = lr,
                .decay = group.decay,
                .beta1 = options_.beta1,
                .beta2 = options_.beta2,
                .eps = options_.opt_eps,
                .step = group.steps,
                .gradient_factor = group.gradient_factor},
               group.tensors);
}

}  // namespace softmoe
