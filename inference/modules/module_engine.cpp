#include "inference/modules/module_engine.h"

#include <ATen/ops/empty.h>

#include <set>

#include "checkpoints/model_checkpoint.h"
#include "inference/modules/module_precision.h"
#include "ops/compute_precision.h"
#include "runtime/autocast_guard.h"
#include "runtime/device.h"
#include "softmoe/routers.h"
#include "vit/position_embedding.h"
#ifdef SOFTMOE_WITH_CUDA
#include "inference/modules/cuda_graph.h"
#endif

namespace softmoe {
namespace {

/// `device` with its index, which the name "cuda" leaves open.
torch::Device exact_device(const torch::Device& device) {
  return at::empty({0}, torch::TensorOptions(torch::kFloat32).device(device)).device();
}

/// Makes the graphs of `device`; empty if it has none.
MakeDeviceGraph graphs_of([[maybe_unused]] const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return make_cuda_graph;
  }
#endif
  return {};
}

/// `options` with fixed positions as a parameter, which `weights` get: the module would copy fixed
/// positions to the device at every pass.
VitOptions with_learned_positions(const VitOptions& options, NamedTensors& weights) {
  auto learned = options;
  if (options.pos_embed == PositionEmbedding::kSinCos2d) {
    learned.pos_embed = PositionEmbedding::kLearned;
    weights["pos_embed"] = fixed_positions(options);  // [1, positions, dim]
  }
  return learned;
}

/// Adds to `names` the parameters below `prefix` that only products in bf16 read.
void add_product_weights(const torch::nn::Module& module, const std::string& prefix,
                         std::set<std::string>& names) {
  for (const auto& child : module.named_children()) {
    const std::string name = prefix + child.key();
    const auto* const part = child.value().get();
    if (dynamic_cast<const Router*>(part) != nullptr || name.starts_with("head")) {
      continue;
    }
    if (dynamic_cast<const LinearImpl*>(part) != nullptr ||
        dynamic_cast<const ExpertsImpl*>(part) != nullptr) {
      for (const auto& parameter : part->named_parameters(/*recurse=*/false)) {
        names.insert(name + "." + parameter.key());
      }
    } else {
      add_product_weights(*part, name + ".", names);
    }
  }
}

/// `tensor` in memory that nobody else holds.
torch::Tensor own(torch::Tensor tensor, const torch::Device& device, torch::Dtype dtype) {
  const bool is_shared = tensor.use_count() > 1 || tensor.storage().use_count() > 1;
  return tensor.to(device, dtype, /*non_blocking=*/false, /*copy=*/is_shared).contiguous();
}

/// Sets the parameters and buffers of `model` to `weights`, those of `bf16_names` in bf16.
void take_weights(torch::nn::Module& model, NamedTensors weights, const torch::Device& device,
                  const std::set<std::string>& bf16_names) {
  const torch::NoGradGuard no_grad;
  const auto take = [&](const std::string& name, torch::Tensor target) {
    auto node = weights.extract(name);
    TORCH_CHECK_VALUE(!node.empty(), "ModuleEngine: no tensor ", name);
    const auto floating = bf16_names.contains(name) ? torch::kBFloat16 : torch::kFloat32;
    const auto dtype = target.is_floating_point() ? floating : target.scalar_type();
    target.set_requires_grad(false);
    target.set_data(own(std::move(node.mapped()), device, dtype));
  };
  for (const auto& parameter : model.named_parameters()) {
    take(parameter.key(), parameter.value());
  }
  for (const auto& buffer : model.named_buffers()) {
    take(buffer.key(), buffer.value());
  }
}

}  // namespace

bool is_recordable(const VitOptions& options) {
  return !has_moe(options) || router_row(options.moe.router).recordable;
}

ModuleEngine::ModuleEngine(VisionTransformer model, Precision precision)
    : InferenceEngine(precision, model->parameters().front().device()),
      options_(model->options()),
      model_(std::move(model)),
      input_dtype_(model_->parameters().front().scalar_type()),
      head_dtype_(tensor_dtype(precision)) {
  check_module_precision(precision);
  model_->eval();
}

ModuleEngine::ModuleEngine(const VitOptions& options, NamedTensors weights, Precision precision,
                           const torch::Device& device)
    : InferenceEngine(precision, exact_device(device)), options_(options), model_(nullptr) {
  check_module_precision(precision);
  const auto learned = with_learned_positions(options, weights);
  model_ = unfilled_model(learned);
  std::set<std::string> bf16_names;
  if (precision == Precision::kBFloat16) {
    add_product_weights(*model_, "", bf16_names);
  }
  take_weights(*model_, std::move(weights), this->device(), bf16_names);
  model_->eval();
  if (auto make_graph = graphs_of(this->device()); make_graph && is_recordable(options)) {
    runner_.emplace(
        this->device(), [this](const torch::Tensor& images) { return run_modules(images); },
        std::move(make_graph));
  }
  synchronize(this->device());  // passes run on streams of their own
}

torch::Tensor ModuleEngine::run_modules(const torch::Tensor& images) {
  const AutocastGuard autocast(device(), tensor_dtype(precision()));
  return model_->forward_features(images).to(torch::kFloat32);  // [batch, feature_dim]
}

torch::Tensor ModuleEngine::features(const torch::Tensor& images) {
  const std::scoped_lock lock(mutex_);
  if (!runner_) {
    return run_modules(images.to(device(), input_dtype_));  // [batch, feature_dim]
  }
  auto out = at::empty({images.size(0), options_.feature_dim()},
                       torch::TensorOptions(torch::kFloat32).device(device()));
  runner_->run(images, out);
  return out;  // [batch, feature_dim]
}

torch::Tensor ModuleEngine::logits(const torch::Tensor& features) {
  const std::scoped_lock lock(mutex_);
  const AutocastGuard autocast(device(), head_dtype_);
  const auto rows = features.to(device(), input_dtype_);  // [batch, feature_dim]
  return model_->forward_head(rows).to(torch::kFloat32);  // [batch, num_classes]
}

}  // namespace softmoe
