#pragma once
/// LAMB: Adam with a trust ratio per tensor, for large batches.

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// You et al., arXiv:1904.00962, algorithm 2, as timm's: the update of a tensor with decay, decay
/// included, is scaled to the norm of the tensor; tensors without decay take Adam's update. Keeps
/// two moments per parameter.
class Lamb : public Optimizer {
 public:
  Lamb(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update(const Group& group, double lr) override;

 private:
  OptimizerOptions options_;
};

}  // namespace softmoe
