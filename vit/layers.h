#pragma once
/// The small parts of a transformer block, with timm's parameter names.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "ops/fused_ops.h"
#include "vit/options.h"

namespace softmoe {

/// y = x weight^T + bias; `weight` [out, in], `bias` [out]. Starts Xavier-uniform with zero bias.
/// (torch::nn::Linear draws its own initial values before they can be replaced.)
class LinearImpl : public torch::nn::Cloneable<LinearImpl> {
 public:
  LinearImpl(int64_t in_features, int64_t out_features);
  void reset() override;
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight;
  torch::Tensor bias;

 private:
  int64_t in_features_;
  int64_t out_features_;
};
TORCH_MODULE(Linear);

/// LayerNorm over the last axis; the bias can be left out, as QK-norm does.
class LayerNormImpl : public torch::nn::Cloneable<LayerNormImpl> {
 public:
  LayerNormImpl(int64_t dim, double eps, bool with_bias = true);
  void reset() override;
  torch::Tensor forward(const torch::Tensor& x);
  /// The start of a residual branch; `for_products`: only matrix products under autocast follow, so
  /// the result may come in their precision.
  NormedBranch branch(const torch::Tensor& x, bool for_products);

  torch::Tensor weight;
  torch::Tensor bias;

 private:
  int64_t dim_;
  double eps_;
  bool with_bias_;
};
TORCH_MODULE(LayerNorm);

/// Multiplication by a learned vector (Touvron et al., arXiv:2103.17239).
class LayerScaleImpl : public torch::nn::Cloneable<LayerScaleImpl> {
 public:
  LayerScaleImpl(int64_t dim, double initial_value);
  void reset() override;
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor gamma;

 private:
  int64_t dim_;
  double initial_value_;
};
TORCH_MODULE(LayerScale);

/// fc1, activation, dropout, fc2, dropout. `hidden_dim`: the inputs of fc2; with SwiGLU fc1 has
/// twice as many outputs.
class MlpImpl : public torch::nn::Cloneable<MlpImpl> {
 public:
  MlpImpl(int64_t dim, int64_t hidden_dim, Activation activation, double dropout);
  void reset() override;
  /// The MLP of `x` [..., dim], plus `residual` where it is defined.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& residual = {});

  Linear fc1{nullptr};
  Linear fc2{nullptr};

 private:
  int64_t dim_;
  int64_t hidden_dim_;
  Activation activation_;
  double dropout_;
};
TORCH_MODULE(Mlp);

/// Drops whole rows of the batch with probability `rate` and scales the rest by 1 / (1 - rate)
/// (Huang et al., arXiv:1603.09382). `x` [batch, ...].
torch::Tensor drop_path(const torch::Tensor& x, double rate, bool training);

}  // namespace softmoe
