#pragma once
/// The MLP of a dense block.

#include "core/activation.h"
#include "vit/linear.h"

namespace softmoe {

/// fc1, activation, dropout, fc2, dropout. `hidden_dim`: the inputs of fc2; with SwiGLU fc1 has
/// twice as many outputs, gates before values.
class MlpImpl : public torch::nn::Cloneable<MlpImpl> {
 public:
  MlpImpl(int64_t dim, int64_t hidden_dim, Activation activation, double dropout);
  void reset() override;
  /// The MLP of `x` [..., dim], plus `residual` of the same shape if it is defined.
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

}  // namespace softmoe
