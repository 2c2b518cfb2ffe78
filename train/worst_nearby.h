#pragma once
/// Sharpness-aware minimisation: gradients are taken at the place within a small distance where the
/// loss grows most, to first order, so that the optimizer prefers flat minima.
/// Source: Foret et al., arXiv:2010.01412, algorithm 1 with p = 2.

#include <torch/types.h>

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// Moves the parameters of an optimizer by `rho` along their gradients together, for its life; then
/// they have their former values again, bit for bit.
class WorstNearby {
 public:
  WorstNearby(const Optimizer& optimizer, double rho);
  ~WorstNearby();
  WorstNearby(const WorstNearby&) = delete;
  WorstNearby& operator=(const WorstNearby&) = delete;

 private:
  std::vector<NamedParameter> parameters_;
  std::vector<torch::Tensor> before_;
};

}  // namespace softmoe
