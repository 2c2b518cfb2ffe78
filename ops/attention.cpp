#include "ops/attention.h"

#include <ATen/Functions.h>

#include "ops/fused/applies.h"
#include "ops/fused/attention.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"

namespace softmoe {
namespace {

/// By libtorch's operators.
torch::Tensor attention_in_steps(const torch::Tensor& x, const AttentionParameters& parameters,
                                 const AttentionDropout& dropout) {
  const auto [batch, tokens, dim] = std::tuple(x.size(0), x.size(1), x.size(2));
  const int64_t head_dim = dim / parameters.heads;
  const auto parts = linear(x, parameters.qkv_weight, parameters.qkv_bias)
                         .view({batch, tokens, 3, parameters.heads, head_dim})
                         .permute({2, 0, 3, 1, 4});  // [3, batch, heads, tokens, head_dim]
  const auto normed = [&](const torch::Tensor& heads, const torch::Tensor& weight) {
    return weight.defined() ? layer_norm(heads, weight, /*bias=*/{}, parameters.norm_eps) : heads;
  };
  const auto queries = normed(parts[0], parameters.q_norm);  // [batch, heads, tokens, head_dim]
  const auto keys = normed(parts[1], parameters.k_norm);     // [batch, heads, tokens, head_dim]
  const auto mixed = attend(queries, keys, parts[2], dropout.training ? dropout.weights : 0.0)
                         .transpose(1, 2)
                         .reshape({batch, tokens, dim});  // [batch, tokens, dim]
  const auto out = linear(mixed, parameters.proj_weight, parameters.proj_bias);
  return torch::dropout(out, dropout.output, dropout.training);  // [batch, tokens, dim]
}

}  // namespace

torch::Tensor attention(const torch::Tensor& x, const AttentionParameters& parameters,
                        const AttentionDropout& dropout, const torch::Tensor& residual) {
  const bool drops = dropout.training && (dropout.output > 0 || dropout.weights > 0);
  const auto precision = fused::precision_of(x);
  if (!drops && precision && fused::takes_attention(parameters, x.size(1))) {
    return fused::attention(x, parameters, *precision, residual);  // [batch, tokens, dim]
  }
  const auto out = attention_in_steps(x, parameters, dropout);  // [batch, tokens, dim]
  return residual.defined() ? residual + out : out;             // [batch, tokens, dim]
}

torch::Tensor attend(const torch::Tensor& queries, const torch::Tensor& keys,
                     const torch::Tensor& values, double drop_weights) {
  return at::scaled_dot_product_attention(queries, keys, values, /*attn_mask=*/{}, drop_weights);
}

}  // namespace softmoe
