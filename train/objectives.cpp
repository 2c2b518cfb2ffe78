#include "train/objectives.h"

#include <array>

#include "train/classification_objective.h"
#include "train/contrastive_objective.h"
#include "train/distillation_objective.h"
#include "train/feature_objective.h"
#include "train/router_objective.h"

namespace softmoe {
namespace {

constexpr std::array<ObjectiveRow, 5> kObjectives{{
    {.name = "classification",
     .meaning = "the loss of --loss for the labels, mean over images",
     .is_on = [](const ObjectiveOptions& options) { return !options.contrastive.is_on(); },
     .routing = {},
     .loss = classification_objective},
    {.name = "contrastive",
     .meaning = "the loss of --contrastive-loss for images and texts that belong together",
     .is_on = [](const ObjectiveOptions& options) { return options.contrastive.is_on(); },
     .routing = {},
     .loss = contrastive_objective},
    {.name = "distillation",
     .meaning = "how far the model is from its teachers, mean over images",
     .is_on = [](const ObjectiveOptions& options) { return options.distillation.has_value(); },
     .routing = {},
     .loss = distillation_objective},
    {.name = "features",
     .meaning = "how far tokens of the model are from those of its teacher, mean over blocks",
     .is_on =
         [](const ObjectiveOptions& options) {
           return options.distillation && !options.distillation->features.empty();
         },
     .routing = {},
     .loss = feature_objective},
    {.name = "router",
     .meaning = "the losses of routers that have a coefficient, sum over layers",
     .is_on = [](const ObjectiveOptions& options) { return options.router_losses.any(); },
     .routing = {.scores = true},
     .loss = router_objective},
}};

/// The sum of two tensors, either of which may be undefined.
torch::Tensor sum_of(const torch::Tensor& a, const torch::Tensor& b) {
  return !a.defined() ? b : !b.defined() ? a : a + b;
}

}  // namespace

std::span<const ObjectiveRow> objectives() { return kObjectives; }

RoutingWants wanted_routing(const ObjectiveOptions& options) {
  RoutingWants wants;
  for (const auto& row : kObjectives) {
    if (row.is_on(options)) {
      wants.weights = wants.weights || row.routing.weights;
      wants.scores = wants.scores || row.routing.scores;
      wants.load = wants.load || row.routing.load;
    }
  }
  return wants;
}

ObjectiveLoss objective_loss(const ObjectiveOptions& options, StepContext context) {
  ObjectiveLoss sum;
  for (const auto& row : kObjectives) {
    if (!row.is_on(options)) {
      continue;
    }
    auto part = row.loss(options, context);
    sum.loss = sum_of(sum.loss, part.loss);                          // []
    sum.image_losses = sum_of(sum.image_losses, part.image_losses);  // [batch]
    if (sum.image_losses.defined()) {
      context.image_losses = sum.image_losses.detach();  // [batch]
    }
    if (part.loss.defined()) {
      sum.parts[std::string(row.name)] = part.loss.detach();  // []
    }
    for (auto& [block, values] : part.values) {
      sum.values[block].merge(values);
    }
  }
  return sum;
}

}  // namespace softmoe
