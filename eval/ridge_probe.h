#pragma once
/// A linear classifier in closed form. All is computed in double precision: the constant feature
/// makes the normal equations so ill-conditioned that single precision has errors of 1e-2.

#include <torch/types.h>

namespace softmoe {

/// Ridge regression from standardised features to targets in {-1, +1}, as in big_vision's
/// `fewshot_lsr`. The features are standardised with their own mean and population deviation + 1e-5
/// and get a constant feature of 100, whose weight is the almost unregularised bias. One symmetric
/// eigendecomposition of the smaller Gram matrix, done by the constructor, serves every lambda.
class RidgeProbe {
 public:
  /// `features` [examples, dim], `labels` [examples] int64 in [0, num_classes).
  RidgeProbe(const torch::Tensor& features, const torch::Tensor& labels, int64_t num_classes);

  /// The weights [dim + 1, classes] that minimise the squared error plus lambda times their squared
  /// norm; the last row belongs to the constant. Throws c10::ValueError unless lambda > 0.
  torch::Tensor weights(double lambda) const;

  /// The factors of the weights: [examples, dim] to [examples, dim + 1].
  torch::Tensor standardize(const torch::Tensor& features) const;

  const torch::Tensor& mean() const { return mean_; }  ///< [1, dim]
  const torch::Tensor& std() const { return std_; }    ///< [1, dim], with the 1e-5

 private:
  torch::Tensor mean_;
  torch::Tensor std_;
  torch::Tensor eigenvalues_;  // [rank]
  torch::Tensor left_;         // [dim + 1, rank]
  torch::Tensor right_;        // [rank, classes]
};

}  // namespace softmoe
