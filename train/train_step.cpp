#include "train/train_step.h"

#include <utility>

#include "runtime/autocast_guard.h"
#include "runtime/profiler.h"
#include "train/objectives.h"

namespace softmoe {

StepResult step_loss(VisionTransformer& model, const Batch& batch,
                     const ObjectiveOptions& objectives, const StepOptions& options) {
  const AutocastGuard autocast(batch.images.device(), options.compute_dtype);
  auto wants = wanted_routing(objectives);
  wants.load = wants.load || options.record_load;
  const bool wants_routing = wants.weights || wants.scores || wants.load;
  auto routing = wants_routing ? model->routing_records(wants) : RoutingRecords();
  const int64_t images = batch.images.size(0);
  const int64_t rows = loss_rows(objectives.loss, images, model->options().num_classes);
  auto* records = wants_routing ? &routing : nullptr;
  torch::Tensor logits;
  torch::Tensor features;
  {
    const ProfilePart part("forward");
    if (rows < images) {
      features = model->forward_features(batch.images, records);  // [batch, feature_dim]
    } else {
      logits = model->forward(batch.images, records);  // [batch, classes]
    }
  }
  const ProfilePart part("loss");
  StepResult result;
  if (options.record_load) {
    for (const auto& [block, record] : routing) {
      result.loads[block] = record.load;
    }
  }
  auto objective =
      objective_loss(objectives, {.batch = batch,
                                  .logits = logits,
                                  .routing = std::move(routing),
                                  .features = features,
                                  .head =
                                      [model = model](const torch::Tensor& x) mutable {
                                        const ProfilePart head("head");
                                        return model->forward_head(x);  // [rows, classes]
                                      },
                                  .loss_rows = rows});
  result.loss = std::move(objective.loss);  // []
  result.values = std::move(objective.values);
  return result;
}

StepResult train_step(VisionTransformer& model, const Batch& batch,
                      const ObjectiveOptions& objectives, const StepOptions& options) {
  auto result = step_loss(model, batch, objectives, options);
  const ProfilePart part("backward");
  (options.batches > 1 ? result.loss / static_cast<double>(options.batches) : result.loss)
      .backward();
  result.loss = result.loss.detach();  // []
  return result;
}

}  // namespace softmoe
