#include "vit/layers.h"

#include "ops/activation.h"
#include "ops/fused_ops.h"
#include "ops/initialization.h"

namespace softmoe {

LinearImpl::LinearImpl(int64_t in_features, int64_t out_features)
    : in_features_(in_features), out_features_(out_features) {
  LinearImpl::reset();
}

void LinearImpl::reset() {
  weight = register_parameter("weight", torch::empty({out_features_, in_features_}));
  bias = register_parameter("bias", torch::empty({out_features_}));
  init_xavier_uniform(weight, in_features_, out_features_);
  init_constant(bias, 0.0);
}

torch::Tensor LinearImpl::forward(const torch::Tensor& x) { return torch::linear(x, weight, bias); }

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
  if (fused_ops_apply(x) && weight.scalar_type() == torch::kFloat32) {
    return fused_layer_norm(x, weight, bias, eps_);
  }
  return torch::layer_norm(x, {dim_}, weight, bias, eps_);
}

NormedBranch LayerNormImpl::branch(const torch::Tensor& x, bool for_products) {
  if (fused_ops_apply(x) && weight.scalar_type() == torch::kFloat32) {
    return fused_layer_norm_with_skip(x, weight, bias, eps_,
                                      for_products ? torch::kBFloat16 : torch::kFloat32);
  }
  return {.normed = forward(x), .skip = x};
}

LayerScaleImpl::LayerScaleImpl(int64_t dim, double initial_value)
    : dim_(dim), initial_value_(initial_value) {
  LayerScaleImpl::reset();
}

void LayerScaleImpl::reset() {
  gamma = register_parameter("gamma", torch::empty({dim_}));
  init_constant(gamma, initial_value_);
}

torch::Tensor LayerScaleImpl::forward(const torch::Tensor& x) { return x * gamma; }

MlpImpl::MlpImpl(int64_t dim, int64_t hidden_dim, Activation activation, double dropout)
    : dim_(dim), hidden_dim_(hidden_dim), activation_(activation), dropout_(dropout) {
  MlpImpl::reset();
}

void MlpImpl::reset() {
  const bool gated = activation_ == Activation::kSwiGlu;
  fc1 = register_module("fc1", Linear(dim_, gated ? 2 * hidden_dim_ : hidden_dim_));
  if (gated) {
    // Two maps in one matrix: each keeps the variance of its own.
    init_xavier_uniform(fc1->weight, dim_, hidden_dim_);
  }
  fc2 = register_module("fc2", Linear(hidden_dim_, dim_));
  init_normal(fc1->bias, 1e-6);
  init_normal(fc2->bias, 1e-6);
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x, const torch::Tensor& residual) {
  const MlpParameters parameters{fc1->weight, fc1->bias, fc2->weight, fc2->bias};
  const bool drops = dropout_ > 0 && is_training();
  const bool fuses =
      (activation_ == Activation::kGeluTanh || activation_ == Activation::kGeluExact) && !drops;
  if (fuses && fused_ops_apply(x) && fused_mlp_takes(parameters)) {
    return fused_mlp(x, parameters, activation_ == Activation::kGeluTanh, residual);  // [..., dim]
  }
  auto inner = activate(fc1(x), activation_);  // [..., hidden_dim]
  if (drops) {
    inner = torch::dropout(inner, dropout_, /*train=*/true);  // [..., hidden_dim]
  }
  auto out = fc2(inner);  // [..., dim]
  if (drops) {
    out = torch::dropout(out, dropout_, /*train=*/true);  // [..., dim]
  }
  return residual.defined() ? residual + out : out;  // [..., dim]
}

torch::Tensor drop_path(const torch::Tensor& x, double rate, bool training) {
  if (!training || rate <= 0) {
    return x;
  }
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  const double keep = 1.0 - rate;
  const auto mask = torch::empty(shape, x.options()).bernoulli_(keep).div_(keep);  // [batch, 1 ...]
  return x * mask;
}

}  // namespace softmoe
