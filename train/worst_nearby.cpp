#include "train/worst_nearby.h"

namespace softmoe {

WorstNearby::WorstNearby(const Optimizer& optimizer, double rho)
    : parameters_(optimizer.parameters()) {
  const torch::NoGradGuard no_grad;
  const auto norm = optimizer.gradient_norm();
  for (auto& [name, tensor] : parameters_) {
    before_.push_back(tensor.clone());
    if (norm > 0.0) {
      tensor.add_(tensor.grad(), rho / norm);
    }
  }
}

WorstNearby::~WorstNearby() {
  const torch::NoGradGuard no_grad;
  for (size_t index = 0; index < parameters_.size(); ++index) {
    parameters_[index].tensor.copy_(before_[index]);
  }
}

}  // namespace softmoe
