#pragma once
/// Parts of a block by their definitions, written out.

#include <cmath>

#include "support/tensor_matcher.h"
#include "vit/layer_norm.h"

namespace softmoe::test {

/// Random values for every parameter of `module`.
template <typename Module>
void randomise(Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : module->parameters()) {
    parameter.normal_(0.0, 0.5);
  }
}

/// LayerNorm over the last axis.
inline torch::Tensor defined_norm(const torch::Tensor& x, const LayerNorm& norm, double eps) {
  const auto centred = x - x.mean(-1, /*keepdim=*/true);
  const auto variance = centred.square().mean(-1, /*keepdim=*/true);
  const auto scaled = centred / (variance + eps).sqrt() * norm->weight;
  return norm->bias.defined() ? scaled + norm->bias : scaled;
}

/// Attention of queries, keys and values [tokens, head_dim].
inline torch::Tensor defined_attention(const torch::Tensor& queries, const torch::Tensor& keys,
                                       const torch::Tensor& values) {
  const auto scores = queries.mm(keys.t()) / std::sqrt(static_cast<double>(queries.size(1)));
  return scores.softmax(1).mm(values);
}

}  // namespace softmoe::test
