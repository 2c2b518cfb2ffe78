#include "train/adamw.h"

namespace softmoe {

AdamW::AdamW(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options, {mean_kind(options.mu_dtype), {.name = "exp_avg_sq"}}),
      options_(options) {}

void AdamW::update(const Group& group, double lr) {
  adamw_update(adamw_step(options_, lr, group.decay, group.steps, group.gradient_factor),
               group.tensors);
}

AdamWStep adamw_step(const OptimizerOptions& options, double lr, double decay, int64_t steps,
                     double gradient_factor) {
  return {.lr = lr,
          .decay = decay,
          .beta1 = options.beta1,
          .beta2 = options.beta2,
          .eps = options.opt_eps,
          .step = steps,
          .gradient_factor = gradient_factor};
}

}  // namespace softmoe
