#include "softmoe/experts.h"

#include "core/tensor_check.h"
#include "ops/initialization.h"

namespace softmoe {
ExpertsImpl::ExpertsImpl(const MoeLayerOptions& options) : options_(options) {
  ExpertsImpl::reset();
}

void ExpertsImpl::reset() {
  const int64_t experts = options_.moe.experts;
  const int64_t dim = options_.dim;
  const int64_t hidden = options_.hidden_dim;
  fc1_weight = register_parameter("fc1_weight", torch::empty({experts, hidden, dim}));
  fc1_bias = register_parameter("fc1_bias", torch::empty({experts, hidden}));
  fc2_weight = register_parameter("fc2_weight", torch::empty({experts, dim, hidden}));
  fc2_bias = register_parameter("fc2_bias", torch::empty({experts, dim}));
  init_xavier_uniform(fc1_weight, dim, hidden);
  init_normal(fc1_bias, 1e-6);
  init_xavier_uniform(fc2_weight, hidden, dim);
  init_normal(fc2_bias, 1e-6);
  if (options_.moe.expert_init == ExpertInit::kIdentical && !initialization_skipped()) {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : parameters(/*recurse=*/false)) {
      parameter.copy_(parameter.slice(0, 0, 1).clone().expand_as(parameter));
    }
  }
}

void ExpertsImpl::keep(int64_t first, int64_t count) {
  for (auto& parameter : parameters(/*recurse=*/false)) {
    parameter.set_data(parameter.detach().narrow(0, first, count).clone());
  }
}

torch::Tensor ExpertsImpl::run(const torch::Tensor& inputs, const MlpParameters& parameters) {
  return expert_mlp(inputs, parameters, options_.activation,
                    {.rate = options_.dropout, .training = is_training()});
}

torch::Tensor ExpertsImpl::forward(const torch::Tensor& inputs) {
  check_shape("Experts: inputs", inputs, {fc1_weight.size(0), -1, options_.dim});
  return run(inputs, {fc1_weight, fc1_bias, fc2_weight, fc2_bias});  // [experts, rows, dim]
}

torch::Tensor ExpertsImpl::forward_merged(const torch::Tensor& inputs,
                                          const torch::Tensor& weights) {
  check_shape("Experts: inputs", inputs, {-1, -1, options_.dim});
  check_shape("Experts: merge weights", weights, {inputs.size(0), options_.moe.experts});
  const auto merged = [&](const torch::Tensor& parameter) {
    auto shape = parameter.sizes().vec();
    shape.front() = inputs.size(0);
    return weights.to(parameter.dtype()).matmul(parameter.flatten(1)).view(shape);
  };
  return run(inputs, {merged(fc1_weight), merged(fc1_bias), merged(fc2_weight),
                      merged(fc2_bias)});  // [batch, tokens, dim]
}

}  // namespace softmoe
