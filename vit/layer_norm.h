#pragma once
/// The LayerNorm of the modules of a transformer.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "ops/layer_norm.h"

namespace softmoe {

/// LayerNorm over the last axis; the bias can be left out, as QK-norm does.
class LayerNormImpl : public torch::nn::Cloneable<LayerNormImpl> {
 public:
  LayerNormImpl(int64_t dim, double eps, bool with_bias = true);
  void reset() override;
  /// `x` and the result: [..., dim].
  torch::Tensor forward(const torch::Tensor& x);
  /// The start of a residual branch of `x` [..., dim].
  NormedBranch branch(const torch::Tensor& x, NormedFor use);

  torch::Tensor weight;
  torch::Tensor bias;

 private:
  int64_t dim_;
  double eps_;
  bool with_bias_;
};
TORCH_MODULE(LayerNorm);

}  // namespace softmoe
