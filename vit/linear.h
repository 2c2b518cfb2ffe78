#pragma once
/// The linear map of the modules of a transformer.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

namespace softmoe {

/// y = x weight^T + bias; `weight` [out, in], `bias` [out], which can be left out. Starts
/// Xavier-uniform with zero bias.
/// (torch::nn::Linear draws its own initial values before they can be replaced.)
class LinearImpl : public torch::nn::Cloneable<LinearImpl> {
 public:
  LinearImpl(int64_t in_features, int64_t out_features, bool with_bias = true);
  void reset() override;
  /// `x` [..., in] to [..., out].
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight;
  torch::Tensor bias;

 private:
  int64_t in_features_;
  int64_t out_features_;
  bool with_bias_;
};
TORCH_MODULE(Linear);

}  // namespace softmoe
