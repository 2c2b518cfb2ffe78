#pragma once
/// Muon: momentum whose matrices are made orthogonal.

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with timm's
/// coefficients and scaling: Nesterov momentum, five steps of a Newton-Schulz
/// iteration that bring all singular values near 1, and a factor 0.2 sqrt(max(rows, columns)), with
/// which rates and decays of AdamW fit (Liu et al., arXiv:2502.16982). It takes the weights of
/// blocks; each expert's matrix is orthogonalized by itself. Embeddings, heads, biases and norms
/// take AdamW. Keeps one moment per matrix and two per other parameter.
class Muon : public Optimizer {
 public:
  Muon(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update(const Group& group, double lr) override;

 private:
  OptimizerOptions options_;
};

/// Returns true if Muon orthogonalizes the updates of `parameter`: a weight of a block with two
/// dimensions, or three with one matrix per expert, whose sides are at least 4.
bool is_muon_matrix(const NamedParameter& parameter);

}  // namespace softmoe
