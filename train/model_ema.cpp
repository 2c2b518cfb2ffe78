#include "train/model_ema.h"

#include <ATen/ops/_foreach_lerp.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// A copy of `model`, on its device, that does not learn.
std::shared_ptr<torch::nn::Module> copy_of(const torch::nn::Module& model) {
  auto copy = model.clone();
  for (auto& parameter : copy->parameters()) {
    parameter.requires_grad_(false);
  }
  copy->eval();
  return copy;
}

}  // namespace

std::string AveragedModel::name() const { return fmt::format("{}", decay); }

ModelEma::ModelEma(const torch::nn::Module& model, const std::vector<double>& decays, bool warms_up)
    : warms_up_(warms_up) {
  for (const double decay : decays) {
    averages_.push_back({.decay = decay, .model = copy_of(model)});
  }
}

void ModelEma::update(const torch::nn::Module& model, int64_t step) {
  const torch::NoGradGuard no_grad;
  const double limit =
      warms_up_ ? 1.0 - std::pow(1.0 + static_cast<double>(step), -2.0 / 3.0) : 1.0;
  const auto weights = model.parameters();
  const auto buffers = model.buffers();
  for (const auto& average : averages_) {
    at::_foreach_lerp_(average.model->parameters(), weights, 1.0 - std::min(average.decay, limit));
    const auto copies = average.model->buffers();
    for (size_t i = 0; i < buffers.size(); ++i) {
      copies[i].copy_(buffers[i]);
    }
  }
}

NamedTensors ModelEma::tensors() const {
  NamedTensors all;
  for (const auto& average : averages_) {
    for (const auto& [name, tensor] : named_tensors(*average.model)) {
      all[average.name() + "/" + name] = tensor;
    }
  }
  return all;
}

void ModelEma::load(const NamedTensors& tensors, const std::string& path) {
  for (auto& average : averages_) {
    NamedTensors own;
    const auto prefix = average.name() + "/";
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with(prefix)) {
        own[name.substr(prefix.size())] = tensor;
      }
    }
    if (own.empty()) {
      throw InputError(path + ": averages of weights", "one with decay " + average.name(), "none");
    }
    load_into(*average.model, own, path);
  }
}

}  // namespace softmoe
