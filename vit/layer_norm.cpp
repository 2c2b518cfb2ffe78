#include "vit/layer_norm.h"

#include "ops/initialization.h"

namespace softmoe {

LayerNormImpl::LayerNormImpl(int64_t dim, double eps, bool with_bias)
    : dim_(dim), eps_(eps), with_bias_(with_bias) {
  LayerNormImpl::reset();
}

void LayerNormImpl::reset() {
  weight = register_parameter("weight", torch::empty({dim_}));
  init_constant(weight, 1.0);
  if (with_bias_) {
    bias = register_parameter("bias", torch::empty({dim_}));
    init_constant(bias, 0.0);
  }
}

torch::Tensor LayerNormImpl::forward(const torch::Tensor& x) {
  return layer_norm(x, weight, bias, eps_);
}

NormedBranch LayerNormImpl::branch(const torch::Tensor& x, NormedFor use) {
  return layer_norm_branch(x, weight, bias, eps_, use);
}

}  // namespace softmoe
