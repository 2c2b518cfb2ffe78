#pragma once
/// Stochastic gradient descent with momentum.

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// Gradient descent with heavy-ball momentum, as optax.trace: m = momentum m + g. Keeps one
/// momentum per parameter.
class Sgd : public Optimizer {
 public:
  Sgd(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update(const Group& group, double lr) override;

 private:
  double momentum_;
};

}  // namespace softmoe
