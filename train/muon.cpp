#include "train/muon.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "ops/muon_update.h"
#include "train/adamw.h"

namespace softmoe {
namespace {

constexpr int64_t kMinSide = 4;

torch::Tensor zero_momentum(const NamedParameter& parameter) {
  return is_muon_matrix(parameter) ? at::zeros_like(parameter.tensor) : torch::Tensor();
}

torch::Tensor zero_moment(const NamedParameter& parameter) {
  return is_muon_matrix(parameter) ? torch::Tensor() : at::zeros_like(parameter.tensor);
}

}  // namespace

bool is_muon_matrix(const NamedParameter& parameter) {
  const auto& [name, tensor] = parameter;
  return blocks_up_to(name) > 0 && name.ends_with("weight") &&
         (tensor.dim() == 2 || tensor.dim() == 3) &&
         std::min(tensor.size(-1), tensor.size(-2)) >= kMinSide;
}

Muon::Muon(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options,
                {{.name = "momentum", .zeros = zero_momentum},
                 {.name = "exp_avg", .zeros = zero_moment},
                 {.name = "exp_avg_sq", .zeros = zero_moment}}),
      options_(options) {}

void Muon::update(const Group& group, double lr) {
  UpdatedTensors matrices;
  UpdatedTensors others;
  matrices.state.resize(1);
  others.state.resize(2);
  const auto& [parameters, gradients, state] = group.tensors;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const bool is_matrix = state[0][i].defined();
    auto& part = is_matrix ? matrices : others;
    part.parameters.push_back(parameters[i]);
    part.gradients.push_back(gradients[i]);
    for (size_t kind = 0; kind < part.state.size(); ++kind) {
      part.state[kind].push_back(state[is_matrix ? kind : kind + 1][i]);
    }
  }
  muon_update({.lr = lr,
               .decay = group.decay,
               .momentum = options_.momentum,
               .gradient_factor = group.gradient_factor},
              matrices);
  adamw_update(adamw_step(options_, lr, group.decay, group.steps, group.gradient_factor), others);
}

}  // namespace softmoe
