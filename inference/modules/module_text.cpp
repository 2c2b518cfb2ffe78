#include "inference/modules/module_text.h"

#include "checkpoints/load_into.h"
#include "inference/modules/module_precision.h"
#include "ops/compute_precision.h"
#include "ops/initialization.h"
#include "runtime/autocast_guard.h"

namespace softmoe {
namespace {

TextTower filled_tower(const TextOptions& options, const NamedTensors& weights,
                       const std::string& where, const torch::Device& device) {
  const SkipInitialization skip;
  TextTower tower(options);
  load_into(*tower, weights, where);
  tower->to(device);
  tower->eval();
  return tower;
}

}  // namespace

ModuleText::ModuleText(const TextOptions& options, const NamedTensors& weights,
                       const std::string& where, Precision precision, const torch::Device& device)
    : TextEngine(precision, device), tower_(filled_tower(options, weights, where, device)) {
  check_module_precision(precision);
}

torch::Tensor ModuleText::embed(const torch::Tensor& ids, const torch::Tensor& lengths) {
  const std::scoped_lock lock(mutex_);
  const AutocastGuard autocast(device(), tensor_dtype(precision()));
  return tower_->forward(ids.to(device()), lengths.to(device()))
      .to(torch::kFloat32);  // [batch, embedding_dim]
}

}  // namespace softmoe
