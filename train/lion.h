#pragma once
/// Lion: the sign of an interpolation between momentum and gradient.

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// Chen et al., arXiv:2302.06675, algorithm 2, with beta1 for the update and beta2 for the
/// momentum. Keeps one moment per parameter. Its usual rates are a tenth to a third of AdamW's.
class Lion : public Optimizer {
 public:
  Lion(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update(const Group& group, double lr) override;

 private:
  double beta1_;
  double beta2_;
};

}  // namespace softmoe
