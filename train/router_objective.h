#pragma once
/// The objective of the routers of MoE layers.

#include "train/objective.h"

namespace softmoe {

/// The router losses that `options.router_losses` ask for, weighted and summed over the layers of
/// `context.routing`, whose scores must have been wanted. Its values are the losses of each block
/// by name, without coefficients.
ObjectiveLoss router_objective(const ObjectiveOptions& options, const StepContext& context);

/// The coefficients that the router of `model` is trained with by default; all 0 for a dense model.
RouterLossOptions default_router_losses(const VitOptions& model);

}  // namespace softmoe
