#pragma once
/// Linear classifiers of the same features that learn at once, each at a learning rate of its own.

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace softmoe {

/// `rates.size()` linear classifiers with softmax cross-entropy and SGD with momentum. They begin
/// with the same weights, normal with deviation 0.01, and biases of 0, and never influence each
/// other: one that diverges leaves the others as they are.
class LinearHeads {
 public:
  /// Features have `dim` values; `rates` are the learning rates; `seed` gives the weights.
  LinearHeads(int64_t dim, int64_t num_classes, const std::vector<double>& rates, int64_t seed,
              const torch::Device& device = torch::kCPU);

  /// Logits [batch, heads, classes] of `features` [batch, dim] float32.
  torch::Tensor logits(const torch::Tensor& features) const;

  /// One update on `features` [batch, dim] float32 with `labels` [batch] int64. The learning rates
  /// are multiplied by `factor`.
  void update(const torch::Tensor& features, const torch::Tensor& labels, double factor);

  torch::Tensor weight(int64_t head) const { return weight_[head]; }  ///< [classes, dim]
  torch::Tensor bias(int64_t head) const { return bias_[head]; }      ///< [classes]

 private:
  torch::Tensor rates_;            // [heads, 1]
  torch::Tensor weight_;           // [heads, classes, dim]
  torch::Tensor bias_;             // [heads, classes]
  torch::Tensor weight_velocity_;  // [heads * classes, dim]
  torch::Tensor bias_velocity_;    // [heads, classes]
};

}  // namespace softmoe
