#pragma once
/// AdamW: Adam with decoupled weight decay.

#include <utility>
#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// Loshchilov and Hutter, arXiv:1711.05101, algorithm 2 with the schedule's rate as alpha. Keeps
/// two moments per parameter.
class AdamW : public Optimizer {
 public:
  AdamW(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update_fused(Batch& batch, double lr) override;
  void update_plain(Batch& batch, double lr) override;

 private:
  /// What the moments lack of their full weight, as they start from zero.
  std::pair<double, double> corrections(const Batch& batch) const;

  OptimizerOptions options_;
};

}  // namespace softmoe
