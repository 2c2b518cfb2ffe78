#include "train/router_objective.h"

#include <utility>

#include "softmoe/routers.h"

namespace softmoe {

ObjectiveLoss router_objective(const ObjectiveOptions& options, const StepContext& context) {
  ObjectiveLoss objective;
  for (const auto& [block, record] : context.routing) {
    auto losses = router_losses(options.router_losses, record.scores, context.image_losses);
    if (losses.total.defined()) {
      objective.loss =
          objective.loss.defined() ? objective.loss + losses.total : losses.total;  // []
    }
    if (!losses.values.empty()) {
      objective.values[block] = std::move(losses.values);
    }
  }
  return objective;
}

RouterLossOptions default_router_losses(const VitOptions& model) {
  return has_moe(model) ? default_router_losses(router_row(model.moe.router)) : RouterLossOptions{};
}

}  // namespace softmoe
