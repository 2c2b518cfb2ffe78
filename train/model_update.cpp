#include "train/model_update.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "core/rng.h"
#include "ops/batch_rows.h"
#include "runtime/profiler.h"
#include "train/joint_pairs.h"
#include "train/optimizers.h"
#include "train/router_objective.h"
#include "train/worst_nearby.h"

namespace softmoe {
namespace {

std::string first_bad_gradient(const torch::nn::Module& model) {
  for (const auto& item : model.named_parameters()) {
    const auto& gradient = item.value().grad();
    if (gradient.defined() && !torch::isfinite(gradient).all().item<bool>()) {
      return "the gradient of " + item.key();
    }
  }
  return std::string(kNormAlone);
}

/// The gradients of one pass over the batches of an update, summed over all processes.
class UpdatePass {
 public:
  explicit UpdatePass(const UpdateOptions& options) : options_(options) {}

  /// train_step() of the next batch.
  StepResult step(VisionTransformer& model, const Batch& batch,
                  const ObjectiveOptions& objectives) {
    const auto& part = options_.part;
    if (part.reducer != nullptr && ++done_ == options_.step.batches) {
      part.reducer->begin(part.sum_weight());
      if (part.expert_reducer != nullptr) {
        part.expert_reducer->begin(part.sum_weight());
      }
    }
    std::optional<BatchRows> rows;
    if (part.draws_by_image) {
      rows.emplace(part.rows.first, part.rows.count, part.batch);
    }
    auto step = options_.step;
    step.loss_weight = part.loss_weight();
    return train_step(model, batch, objectives, step);
  }

  /// The loss of all processes, from that of this one.
  double finish(double loss) {
    const auto& part = options_.part;
    if (part.reducer == nullptr) {
      return loss;
    }
    std::vector<double> numbers{loss * part.share()};
    part.reducer->finish(numbers);
    if (part.expert_reducer != nullptr) {
      std::vector<double> none;
      part.expert_reducer->finish(none);
    }
    return numbers.front();
  }

 private:
  const UpdateOptions& options_;
  int64_t done_ = 0;
};

/// Replaces the gradients by those at the worst place nearby, with the same random numbers.
void take_worst_gradients(VisionTransformer& model, Optimizer& optimizer,
                          const ObjectiveOptions& objectives, const std::vector<Batch>& batches,
                          const UpdateOptions& options) {
  const WorstNearby moved(optimizer, options.sam_rho);
  optimizer.zero_grad();
  torch::manual_seed(options.random_key);
  UpdatePass pass(options);
  for (const auto& batch : batches) {
    pass.step(model, batch, objectives);
  }
  pass.finish(/*loss=*/0.0);
}

/// Steps of batches of images and texts whose contrastive loss is that of all pairs together.
std::vector<StepResult> train_jointly(VisionTransformer& model, const ObjectiveOptions& objectives,
                                      const std::function<Batch()>& next_batch,
                                      const UpdateOptions& options) {
  std::vector<Batch> batches;
  std::vector<uint64_t> keys;
  for (int64_t number = 0; number < options.step.batches; ++number) {
    batches.push_back(next_batch());
    keys.push_back(stream_key(options.random_key, "batch", 0, static_cast<uint64_t>(number)));
  }
  const auto joint = joint_gradients(*options.step.image_text, batches, objectives,
                                     options.step.compute_dtype, keys);
  std::vector<StepResult> results;
  for (size_t index = 0; index < batches.size(); ++index) {
    auto step = options.step;
    step.joint = &joint[index];
    torch::manual_seed(keys[index]);
    results.push_back(train_step(model, batches[index], objectives, step));
  }
  return results;
}

/// "embed", "blocks.<index>" or "head".
std::string layer_group(const std::string& parameter) {
  if (const int64_t blocks = blocks_up_to(parameter); blocks > 0) {
    return fmt::format("blocks.{}", blocks - 1);
  }
  return layer_of(parameter, /*depth=*/1) == 0 ? "embed" : "head";
}

/// Sets the norms `field` of all groups of layers to those of what `value` gives of their
/// parameters.
void record_norms(ModelUpdate& update, double LayerNorms::*field, const ParameterParts& parts,
                  const std::vector<NamedParameter>& parameters,
                  const std::function<torch::Tensor(const torch::Tensor&)>& value) {
  std::map<std::string, double> of_parts;
  for (const auto& [name, tensor] : parameters) {
    const auto norm = at::linalg_vector_norm(value(tensor)).item<double>();
    if (parts.names.contains(name)) {
      of_parts[layer_group(name)] += norm * norm;
    } else {
      auto& whole = update.norms[layer_group(name)].*field;
      whole = std::hypot(whole, norm);
    }
  }
  std::vector<double> squares;
  for (const auto& [group, square] : of_parts) {
    squares.push_back(square);
  }
  if (!squares.empty()) {
    parts.sum(squares);
  }
  auto square = squares.begin();
  for (const auto& [group, own] : of_parts) {
    auto& whole = update.norms[group].*field;
    whole = std::hypot(whole, std::sqrt(*square++));
  }
}

}  // namespace

ModelUpdate update_model(VisionTransformer& model, Optimizer& optimizer,
                         const ObjectiveOptions& objectives,
                         const std::function<Batch()>& next_batch, const UpdateOptions& options) {
  torch::manual_seed(options.random_key);
  ModelUpdate update;
  std::vector<Batch> batches;
  UpdatePass pass(options);
  if (options.step.image_text != nullptr && options.step.batches > 1) {
    update.batches = train_jointly(model, objectives, next_batch, options);
  } else {
    for (int64_t number = 0; number < options.step.batches; ++number) {
      const auto batch = next_batch();
      update.batches.push_back(pass.step(model, batch, objectives));
      if (options.sam_rho > 0.0) {
        batches.push_back(batch);
      }
    }
  }
  for (const auto& batch : update.batches) {
    update.loss += batch.loss.item<double>();
  }
  update.loss = pass.finish(update.loss / static_cast<double>(options.step.batches));
  if (options.sam_rho > 0.0 && std::isfinite(update.loss)) {
    take_worst_gradients(model, optimizer, objectives, batches, options);
  }
  const ProfilePart part("optimizer");
  const auto learning =
      options.record_norms ? optimizer.parameters() : std::vector<NamedParameter>();
  record_norms(update, &LayerNorms::gradient, optimizer.parts(), learning,
               [](const torch::Tensor& tensor) { return tensor.grad(); });
  if (std::isfinite(update.loss)) {
    update.gradient_norm = optimizer.clip_and_step(options.lr, options.clip_grad);
    update.bad_gradient = std::isfinite(update.gradient_norm) ? "" : first_bad_gradient(*model);
  }
  record_norms(update, &LayerNorms::weight, optimizer.parts(), learning,
               [](const torch::Tensor& tensor) { return tensor; });
  optimizer.zero_grad();
  return update;
}

std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& labels)>
make_train_step(VisionTransformer model, torch::Dtype dtype, const OptimizerOptions& options) {
  std::shared_ptr<Optimizer> optimizer = make_optimizer(named_parameters(*model), options);
  const ObjectiveOptions objectives{.loss = {},
                                    .router_losses = default_router_losses(model->options())};
  const UpdateOptions update{.step = {.compute_dtype = dtype},
                             .lr = 1e-4,
                             .clip_grad = options.clip_grad,
                             .sam_rho = options.sam_rho};
  model->train();
  return [=](const torch::Tensor& images, const torch::Tensor& labels) mutable {
    const auto batch = [&] { return Batch{.images = images, .labels = labels, .indices = {}}; };
    const double loss = update_model(model, *optimizer, objectives, batch, update).loss;
    return at::scalar_tensor(loss, torch::kFloat32);  // []
  };
}

}  // namespace softmoe
