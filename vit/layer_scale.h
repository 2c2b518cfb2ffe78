#pragma once
/// LayerScale.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

namespace softmoe {

/// Multiplication by a learned vector (Touvron et al., arXiv:2103.17239).
class LayerScaleImpl : public torch::nn::Cloneable<LayerScaleImpl> {
 public:
  LayerScaleImpl(int64_t dim, double initial_value);
  void reset() override;
  /// `x` and the result: [..., dim].
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor gamma;

 private:
  int64_t dim_;
  double initial_value_;
};
TORCH_MODULE(LayerScale);

}  // namespace softmoe
