#pragma once
/// The table of objectives: one row each.

#include <span>

#include "train/objective.h"

namespace softmoe {

/// classification, contrastive, distillation, features and router, in the order in which a step
/// computes them.
std::span<const ObjectiveRow> objectives();

/// What the objectives that `options` ask for read of the routing of MoE layers.
RoutingWants wanted_routing(const ObjectiveOptions& options);

/// The sum of the losses of all objectives that `options` ask for, and all their values. Throws
/// what the objectives throw.
ObjectiveLoss objective_loss(const ObjectiveOptions& options, StepContext context);

}  // namespace softmoe
