#pragma once
/// The experts of a layer: many two-layer MLPs as one batched computation.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "ops/mlp.h"
#include "softmoe/moe_options.h"

namespace softmoe {

/// Expert e computes fc2_e(GELU(fc1_e(x))) on its own rows; knows nothing of routing. Dropout
/// follows both maps, as in the reference.
/// `experts` below are all of the layer, or those that keep() left.
/// Parameters: `fc1_weight` [experts, hidden, dim], `fc1_bias` [experts, hidden],
/// `fc2_weight` [experts, dim, hidden], `fc2_bias` [experts, dim].
class ExpertsImpl : public torch::nn::Cloneable<ExpertsImpl> {
 public:
  explicit ExpertsImpl(const MoeLayerOptions& options);

  void reset() override;
  /// Drops all experts but [first, first + count).
  void keep(int64_t first, int64_t count);
  /// `inputs` and the result: [experts, rows, dim].
  torch::Tensor forward(const torch::Tensor& inputs);
  /// Each image of `inputs` [batch, tokens, dim] through one expert of its own, whose parameters
  /// are the mixture `weights` [batch, experts] of all experts'; gives [batch, tokens, dim].
  torch::Tensor forward_merged(const torch::Tensor& inputs, const torch::Tensor& weights);

  torch::Tensor fc1_weight;
  torch::Tensor fc1_bias;
  torch::Tensor fc2_weight;
  torch::Tensor fc2_bias;

 private:
  /// inputs [count, rows, dim] through `parameters` of `count` MLPs.
  torch::Tensor run(const torch::Tensor& inputs, const MlpParameters& parameters);

  MoeLayerOptions options_;
};
TORCH_MODULE(Experts);

}  // namespace softmoe
