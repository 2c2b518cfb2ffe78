#include "train/optimizer.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <torch/nn/module.h>

#include <regex>

#include "core/error.h"
#include "core/fused_update.h"
#include "core/registry.h"

namespace softmoe {
namespace {

DecayRule parse_rule(const std::string& text) {
  const auto equals = text.rfind('=');
  const std::string expected = "PATTERN=DECAY, such as '^head.weight$=3.0'";
  if (equals == std::string::npos || equals == 0) {
    throw UsageError("decay-rules", expected, "'" + text + "'");
  }
  DecayRule rule{.pattern = text.substr(0, equals)};
  try {
    const std::string number = text.substr(equals + 1);
    size_t used = 0;
    rule.decay = std::stod(number, &used);
    if (used != number.size() || !(rule.decay >= 0)) {
      throw std::invalid_argument(number);
    }
    std::regex{rule.pattern};
  } catch (const std::logic_error&) {
    throw UsageError("decay-rules", expected, "'" + text + "'");
  } catch (const std::regex_error&) {
    throw UsageError("decay-rules", "a regular expression", "'" + rule.pattern + "'");
  }
  return rule;
}

/// Whether libtorch's fused kernels, which walk raw memory in step, may take the tensors.
bool fits_fused_kernel(const torch::Tensor& parameter, const torch::Tensor& gradient) {
  return (parameter.is_cpu() || parameter.is_cuda()) && parameter.is_non_overlapping_and_dense() &&
         gradient.device() == parameter.device() &&
         gradient.scalar_type() == parameter.scalar_type() &&
         gradient.strides() == parameter.strides();
}

}  // namespace

void describe(OptionTable& table, OptimizerOptions& options) {
  std::vector<std::string> names;
  for (const auto& row : optimizers()) {
    names.emplace_back(row.name);
  }
  table.add("opt", options.opt, "optimizer", {.choices = names});
  table.add("weight-decay", options.weight_decay,
            "decoupled decay of weights (times the learning rate), not of biases, norms, positions",
            {.min = 0});
  table.add("decay-rules", options.decay_rules,
            "PATTERN=DECAY pairs that precede --weight-decay: decay of parameters whose name holds "
            "a match of the regular expression, the first match wins");
  table.add("momentum", options.momentum, "share of the last update that SGD keeps",
            {.min = 0, .max = 1});
  table.add("beta1", options.beta1, "decay of AdamW's mean of gradients", {.min = 0, .max = 1});
  table.add("beta2", options.beta2, "decay of AdamW's mean of squared gradients",
            {.min = 0, .max = 1});
  table.add("opt-eps", options.opt_eps, "added to the root in AdamW's denominator", {.min = 0});
  table.add("clip-grad", options.clip_grad,
            "largest norm of all gradients together, above which they are scaled; 0 for none",
            {.min = 0});
}

std::vector<DecayRule> decay_rules(const OptimizerOptions& options) {
  std::vector<DecayRule> rules;
  for (const auto& text : options.decay_rules) {
    rules.push_back(parse_rule(text));
  }
  rules.push_back({.pattern = R"(norm[^.]*\.weight$)", .decay = 0.0});
  rules.push_back({.pattern = R"((^|[._])weight$)", .decay = options.weight_decay});
  rules.push_back({.pattern = R"((^|\.)router\.scale$)", .decay = options.weight_decay});
  return rules;
}

double parameter_decay(std::span<const DecayRule> rules, const std::string& name) {
  for (const auto& rule : rules) {
    if (std::regex_search(name, std::regex(rule.pattern))) {
      return rule.decay;
    }
  }
  return 0.0;
}

std::vector<NamedParameter> named_parameters(const torch::nn::Module& module) {
  std::vector<NamedParameter> parameters;
  for (const auto& item : module.named_parameters()) {
    parameters.push_back({item.key(), item.value()});
  }
  return parameters;
}

Optimizer::Optimizer(const std::vector<NamedParameter>& parameters,
                     std::span<const DecayRule> rules, std::vector<std::string> kinds)
    : kinds_(std::move(kinds)) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.requires_grad()) {
      continue;
    }
    Slot slot{
        .name = name, .parameter = tensor, .decay = parameter_decay(rules, name), .state = {}};
    for (size_t kind = 0; kind < kinds_.size(); ++kind) {
      slot.state.push_back(at::zeros_like(tensor));
    }
    slots_.push_back(std::move(slot));
  }
}

void Optimizer::step(double lr) { step_scaled(lr, /*gradient_factor=*/1.0); }

torch::Tensor Optimizer::clip_and_step(double lr, double max_norm) {
  const auto all = gradients();
  if (all.empty() || !fused_update_takes(all)) {
    auto norm = clip_gradient_norm(all, max_norm);
    step(lr);
    return norm;
  }
  const double norm = fused_norm(all);
  step_scaled(lr, max_norm > 0 && norm > max_norm ? max_norm / norm : 1.0);
  return at::scalar_tensor(norm, torch::kFloat32);  // []
}

void Optimizer::apply_gradient_factor(Batch& batch) {
  if (batch.gradient_factor != 1.0) {
    at::_foreach_mul_(batch.gradients, batch.gradient_factor);
    batch.gradient_factor = 1.0;
  }
}

void Optimizer::step_scaled(double lr, double gradient_factor) {
  const torch::NoGradGuard no_grad;
  ++steps_;
  std::map<std::pair<bool, double>, Batch> batches;
  for (const auto& slot : slots_) {
    const auto& gradient = slot.parameter.grad();
    if (!gradient.defined()) {
      continue;
    }
    const bool fused = fits_fused_kernel(slot.parameter, gradient);
    auto& batch = batches[{fused, slot.decay}];
    batch.decay = slot.decay;
    batch.gradient_factor = gradient_factor;
    batch.parameters.push_back(slot.parameter);
    batch.gradients.push_back(fused ? gradient : gradient.to(slot.parameter.options()));
    batch.state.resize(kinds_.size());
    for (size_t kind = 0; kind < kinds_.size(); ++kind) {
      batch.state[kind].push_back(slot.state[kind]);
    }
  }
  for (auto& [key, batch] : batches) {
    key.first ? update_fused(batch, lr) : update_plain(batch, lr);
  }
}

void Optimizer::zero_grad() {
  for (auto& slot : slots_) {
    slot.parameter.mutable_grad().reset();
  }
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

std::map<std::string, torch::Tensor> Optimizer::named_state() const {
  std::map<std::string, torch::Tensor> state;
  for (const auto& slot : slots_) {
    for (size_t kind = 0; kind < kinds_.size(); ++kind) {
      state[kinds_[kind] + "/" + slot.name] = slot.state[kind];
    }
  }
  return state;
}

std::map<std::string, torch::Tensor> Optimizer::state() const {
  auto state = named_state();
  state["step"] = at::scalar_tensor(steps_, torch::kInt64);  // []
  return state;
}

void Optimizer::load_state(const std::map<std::string, torch::Tensor>& state) {
  const torch::NoGradGuard no_grad;
  const auto own = this->state();
  for (const auto& [name, tensor] : own) {
    const auto found = state.find(name);
    if (found == state.end()) {
      throw InputError("optimizer state", "'" + name + "'", "none of that name");
    }
    if (found->second.sizes() != tensor.sizes() ||
        found->second.scalar_type() != tensor.scalar_type()) {
      throw InputError("optimizer state '" + name + "'",
                       c10::str(tensor.sizes(), " of ", tensor.scalar_type()),
                       c10::str(found->second.sizes(), " of ", found->second.scalar_type()));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (!own.contains(name)) {
      throw InputError("optimizer state", "only what the model trains", "'" + name + "'");
    }
  }
  for (auto& [name, tensor] : named_state()) {
    tensor.copy_(state.at(name));
  }
  steps_ = state.at("step").item<int64_t>();
}

std::unique_ptr<Optimizer> make_optimizer(const std::vector<NamedParameter>& parameters,
                                          const OptimizerOptions& options) {
  return find_row(optimizers(), options.opt, "optimizer").make(parameters, options);
}

torch::Tensor clip_gradient_norm(const std::vector<torch::Tensor>& gradients, double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients.empty()) {
    return at::zeros({});
  }
  if (fused_update_takes(gradients)) {
    const double found = fused_norm(gradients);
    if (max_norm > 0 && found > max_norm) {
      fused_multiply(gradients, max_norm / found);
    }
    return at::scalar_tensor(found, torch::kFloat32);  // []
  }
  auto norms = at::_foreach_norm(gradients, /*ord=*/2, torch::kFloat32);
  for (auto& norm : norms) {
    norm = norm.to(norms.front().device());
  }
  auto norm = at::linalg_vector_norm(at::stack(norms));  // []
  if (max_norm > 0) {
    if (norm.is_cpu()) {
      const double found = norm.item<double>();
      if (found > max_norm) {
        at::_foreach_mul_(gradients, max_norm / found);
      }
    } else {
      // Without a branch on its value the accelerator need not be waited for.
      at::_foreach_mul_(gradients, (max_norm / norm).clamp_max(1.0));
    }
  }
  return norm;
}

}  // namespace softmoe
