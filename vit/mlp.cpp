#include "vit/mlp.h"

#include "ops/initialization.h"
#include "ops/mlp.h"

namespace softmoe {

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
  return mlp(x, {fc1->weight, fc1->bias, fc2->weight, fc2->bias}, activation_,
             {.rate = dropout_, .training = is_training()}, residual);
}

}  // namespace softmoe
