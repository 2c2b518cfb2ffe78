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
  const auto logits = [&] {
    const ProfilePart part("forward");
    return model->forward(batch.images, wants_routing ? &routing : nullptr);  // [batch, classes]
  }();
  const ProfilePart part("loss");
  StepResult result;
  if (options.record_load) {
    for (const auto& [block, record] : routing) {
      result.loads[block] = record.load;
    }
  }
  auto objective =
      objective_loss(objectives, {.batch = batch, .logits = logits, .routing = std::move(routing)});
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
