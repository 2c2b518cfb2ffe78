#include "train/lion.h"

namespace softmoe {

Lion::Lion(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options, {mean_kind(options.mu_dtype)}),
      beta1_(options.beta1),
      beta2_(options.beta2) {}

void Lion::update(const Group& group, double lr) {
  for (size_t i = 0; i < group.tensors.parameters.size(); ++i) {
    auto parameter = group.tensors.parameters[i];
    auto stored = group.tensors.state[0][i];
    auto mean = stored.to(parameter.scalar_type());
    const auto gradient = scaled_gradient(group, i);
    const auto direction = mean.lerp(gradient, 1.0 - beta1_).sign_();
    parameter.mul_(1.0 - lr * group.decay).sub_(direction, lr);
    mean.lerp_(gradient, 1.0 - beta2_);
    stored.copy_(mean);  // itself unless its dtype is another
  }
}

}  // namespace softmoe
