#include "train/optimizer.h"

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "core/error.h"

namespace softmoe {
namespace {

/// Prefix of the names of ages in a state: updates of a parameter before the optimizer's first one.
const std::string kAge = "age/";

/// Returns true if `found` can be copied to `own` without a loss.
bool fits(const torch::Tensor& found, const torch::Tensor& own) {
  return found.sizes() == own.sizes() && found.scalar_type() == own.scalar_type();
}

/// Throws InputError unless `state` has all tensors of `own` and nothing else but `optional` ones.
void check_state(const Optimizer::State& state, const Optimizer::State& own,
                 const std::set<std::string>& optional) {
  for (const auto& [name, tensor] : own) {
    const auto found = state.find(name);
    if (found == state.end()) {
      throw InputError("optimizer state", "'" + name + "'", "none of that name");
    }
    if (!fits(found->second, tensor)) {
      throw InputError("optimizer state '" + name + "'",
                       c10::str(tensor.sizes(), " of ", tensor.scalar_type()),
                       c10::str(found->second.sizes(), " of ", found->second.scalar_type()));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (!own.contains(name) && !optional.contains(name)) {
      throw InputError("optimizer state", "only what the model trains", "'" + name + "'");
    }
  }
}

/// The integer `name` of `state`, 0 if there is none.
int64_t number_in(const Optimizer::State& state, const std::string& name) {
  const auto found = state.find(name);
  return found == state.end() ? 0 : found->second.item<int64_t>();
}

}  // namespace

std::vector<NamedParameter> named_parameters(const torch::nn::Module& module) {
  std::vector<NamedParameter> parameters;
  for (const auto& item : module.named_parameters()) {
    parameters.push_back({item.key(), item.value()});
  }
  return parameters;
}

void ParameterParts::sum(std::vector<double>& squares) const {
  const auto sums = at::tensor(squares, torch::kFloat64);  // [numbers]
  group.sum(sums);
  const auto* first = sums.const_data_ptr<double>();
  squares.assign(first, first + sums.numel());
}

Optimizer::Optimizer(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options,
                     const std::vector<StateKind>& kinds) {
  for (const auto& kind : kinds) {
    kinds_.push_back(kind.name);
  }
  const torch::NoGradGuard no_grad;
  const auto rules = decay_rules(options);
  int64_t depth = 0;
  for (const auto& [name, tensor] : parameters) {
    depth = std::max(depth, blocks_up_to(name));
  }
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.requires_grad()) {
      continue;
    }
    Slot slot{.name = name,
              .parameter = tensor,
              .decay = parameter_decay(rules, name),
              .rate = layer_rate(options, name, depth)};
    for (const auto& kind : kinds) {
      slot.state.push_back(kind.zeros ? kind.zeros({name, tensor}) : at::zeros_like(tensor));
    }
    slots_.push_back(std::move(slot));
  }
}

void Optimizer::step(double lr) { step_scaled(lr, /*gradient_factor=*/1.0); }

double Optimizer::gradient_norm() const {
  std::vector<torch::Tensor> parts;
  std::vector<torch::Tensor> others;
  for (const auto& [name, tensor] : parameters()) {
    (parts_.names.contains(name) ? parts : others).push_back(tensor.grad());
  }
  const auto norm = clip_gradient_norm(others, /*max_norm=*/0.0).item<double>();
  if (parts_.names.empty()) {
    return norm;
  }
  const auto of_parts = clip_gradient_norm(parts, /*max_norm=*/0.0).item<double>();
  std::vector<double> squares{of_parts * of_parts};
  parts_.sum(squares);
  return std::hypot(norm, std::sqrt(squares.front()));
}

double Optimizer::clip_and_step(double lr, double max_norm) {
  if (!parts_.names.empty()) {
    const double norm = gradient_norm();
    if (std::isfinite(norm)) {
      step_scaled(lr, max_norm > 0.0 && norm > max_norm ? max_norm / norm : 1.0);
    }
    return norm;
  }
  const auto clip = clip_for_update(gradients(), max_norm);
  const auto norm = clip.norm.item<double>();
  if (std::isfinite(norm)) {
    step_scaled(lr, clip.gradient_factor);
  }
  return norm;
}

void Optimizer::step_scaled(double lr, double gradient_factor) {
  const torch::NoGradGuard no_grad;
  ++steps_;
  using Key = std::tuple<double, double, int64_t>;  // decay, rate, age
  std::map<Key, Group> groups;
  for (const auto& slot : slots_) {
    const auto& gradient = slot.parameter.grad();
    if (!gradient.defined()) {
      continue;
    }
    auto& group = groups[{slot.decay, slot.rate, slot.age}];
    group.decay = slot.decay;
    group.steps = steps_ + slot.age;
    group.gradient_factor = gradient_factor;
    group.tensors.parameters.push_back(slot.parameter);
    group.tensors.gradients.push_back(gradient);
    group.tensors.state.resize(kinds_.size());
    for (size_t kind = 0; kind < kinds_.size(); ++kind) {
      group.tensors.state[kind].push_back(slot.state[kind]);
    }
  }
  for (const auto& [key, group] : groups) {
    update(group, lr * std::get<1>(key));
  }
}

torch::Tensor Optimizer::bf16_zeros(const NamedParameter& parameter) {
  return at::zeros_like(parameter.tensor, torch::kBFloat16);
}

Optimizer::StateKind Optimizer::mean_kind(Precision dtype) {
  return {.name = "exp_avg", .zeros = dtype == Precision::kBFloat16 ? bf16_zeros : nullptr};
}

torch::Tensor Optimizer::scaled_gradient(const Group& group, size_t index) {
  const auto& gradient = group.tensors.gradients[index];
  return group.gradient_factor == 1.0 ? gradient : gradient * group.gradient_factor;
}

void Optimizer::zero_grad() {
  for (auto& slot : slots_) {
    slot.parameter.mutable_grad().reset();
  }
}

std::vector<NamedParameter> Optimizer::parameters() const {
  std::vector<NamedParameter> parameters;
  for (const auto& slot : slots_) {
    if (slot.parameter.grad().defined()) {
      parameters.push_back({slot.name, slot.parameter});
    }
  }
  return parameters;
}

std::vector<torch::Tensor> Optimizer::gradients() const {
  std::vector<torch::Tensor> gradients;
  for (const auto& slot : slots_) {
    if (slot.parameter.grad().defined()) {
      gradients.push_back(slot.parameter.grad());
    }
  }
  return gradients;
}

Optimizer::State Optimizer::named_state() const {
  State state;
  for (const auto& slot : slots_) {
    for (size_t kind = 0; kind < kinds_.size(); ++kind) {
      if (slot.state[kind].defined()) {
        state[kinds_[kind] + "/" + slot.name] = slot.state[kind];
      }
    }
  }
  return state;
}

Optimizer::State Optimizer::state() const {
  auto state = named_state();
  state["step"] = at::scalar_tensor(steps_, torch::kInt64);  // []
  for (const auto& slot : slots_) {
    if (slot.age > 0) {
      state[kAge + slot.name] = at::scalar_tensor(slot.age, torch::kInt64);  // []
    }
  }
  return state;
}

void Optimizer::load_state(const State& state) {
  const torch::NoGradGuard no_grad;
  auto own = named_state();
  own["step"] = at::scalar_tensor(steps_, torch::kInt64);  // []
  std::set<std::string> ages;
  for (const auto& slot : slots_) {
    ages.insert(kAge + slot.name);
  }
  check_state(state, own, ages);
  for (auto& [name, tensor] : named_state()) {
    tensor.copy_(state.at(name));
  }
  for (auto& slot : slots_) {
    slot.age = number_in(state, kAge + slot.name);
  }
  steps_ = number_in(state, "step");
}

int64_t Optimizer::adopt_state(const State& state) {
  TORCH_CHECK_VALUE(steps_ == 0, "Optimizer: adopt_state after ", steps_, " steps");
  const torch::NoGradGuard no_grad;
  int64_t adopted = 0;
  for (auto& slot : slots_) {
    std::vector<std::pair<torch::Tensor, torch::Tensor>> copies;  // from, to
    bool complete = true;
    for (size_t kind = 0; kind < kinds_.size(); ++kind) {
      if (slot.state[kind].defined()) {
        const auto source = state.find(kinds_[kind] + "/" + slot.name);
        complete = complete && source != state.end() && fits(source->second, slot.state[kind]);
        copies.emplace_back(complete ? source->second : torch::Tensor(), slot.state[kind]);
      }
    }
    if (!complete) {
      continue;
    }
    for (auto& [from, to] : copies) {
      to.copy_(from);
    }
    slot.age = number_in(state, "step") + number_in(state, kAge + slot.name);
    ++adopted;
  }
  return adopted;
}

}  // namespace softmoe
