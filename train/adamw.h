#pragma once
/// AdamW: Adam with decoupled weight decay.

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// Loshchilov and Hutter, arXiv:1711.05101, algorithm 2 with the schedule's rate as alpha. Keeps
/// two moments per parameter.
class AdamW : public Optimizer {
 public:
  AdamW(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update(const Group& group, double lr) override;

 private:
  OptimizerOptions options_;
};

/// The step that `options` describe for parameters with `decay`, whose update number `steps` this
/// is.
AdamWStep adamw_step(const OptimizerOptions& options, double lr, double decay, int64_t steps,
                     double gradient_factor);

}  // namespace softmoe
