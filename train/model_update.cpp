#include "train/model_update.h"

#include <ATen/ops/scalar_tensor.h>

#include <cmath>
#include <memory>
#include <utility>

#include "train/optimizers.h"
#include "train/router_objective.h"

namespace softmoe {
namespace {

std::string first_bad_gradient(const torch::nn::Module& model) {
  for (const auto& item : model.named_parameters()) {
    const auto& gradient = item.value().grad();
    if (gradient.defined() && !torch::isfinite(gradient).all().item<bool>()) {
      return "the gradient of " + item.key();
    }
  }
  return "the norm of all gradients";
}

}  // namespace

ModelUpdate update_model(VisionTransformer& model, Optimizer& optimizer,
                         const ObjectiveOptions& objectives,
                         const std::function<Batch()>& next_batch, const UpdateOptions& options) {
  torch::manual_seed(options.random_key);
  ModelUpdate update;
  for (int64_t batch = 0; batch < options.step.batches; ++batch) {
    update.batches.push_back(train_step(model, next_batch(), objectives, options.step));
    update.loss += update.batches.back().loss.item<double>();
  }
  update.loss /= static_cast<double>(options.step.batches);
  if (std::isfinite(update.loss)) {
    update.gradient_norm = optimizer.clip_and_step(options.lr, options.clip_grad);
    update.bad_gradient = std::isfinite(update.gradient_norm) ? "" : first_bad_gradient(*model);
  }
  optimizer.zero_grad();
  return update;
}

std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& labels)>
make_train_step(VisionTransformer model, torch::Dtype dtype) {
  const OptimizerOptions options;
  std::shared_ptr<Optimizer> optimizer = make_optimizer(named_parameters(*model), options);
  const ObjectiveOptions objectives{.loss = {},
                                    .router_losses = default_router_losses(model->options())};
  const UpdateOptions update{
      .step = {.compute_dtype = dtype}, .lr = 1e-4, .clip_grad = options.clip_grad};
  model->train();
  return [=](const torch::Tensor& images, const torch::Tensor& labels) mutable {
    const auto batch = [&] { return Batch{.images = images, .labels = labels, .indices = {}}; };
    const double loss = update_model(model, *optimizer, objectives, batch, update).loss;
    return at::scalar_tensor(loss, torch::kFloat32);  // []
  };
}

}  // namespace softmoe
