#include "vit/attention.h"

#include <ATen/Functions.h>

#include "ops/fused_ops.h"
#include "ops/initialization.h"

namespace softmoe {

AttentionImpl::AttentionImpl(const VitOptions& options) : options_(options) {
  AttentionImpl::reset();
}

void AttentionImpl::reset() {
  const int64_t dim = options_.dim;
  qkv = register_module("qkv", Linear(dim, 3 * dim));
  // Three square maps in one matrix: each keeps the variance of a square one.
  init_xavier_uniform(qkv->weight, dim, dim);
  proj = register_module("proj", Linear(dim, dim));
  if (options_.qk_norm) {
    const int64_t head_dim = dim / options_.heads;
    q_norm = register_module("q_norm", LayerNorm(head_dim, options_.norm_eps, /*with_bias=*/false));
    k_norm = register_module("k_norm", LayerNorm(head_dim, options_.norm_eps, /*with_bias=*/false));
  }
}

torch::Tensor AttentionImpl::forward(const torch::Tensor& x, const torch::Tensor& residual) {
  const bool drops = is_training() && (options_.drop > 0 || options_.attn_drop > 0);
  if (!drops && fused_ops_apply(x)) {
    const AttentionParameters parameters{.qkv_weight = qkv->weight,
                                         .qkv_bias = qkv->bias,
                                         .proj_weight = proj->weight,
                                         .proj_bias = proj->bias,
                                         .q_norm = q_norm ? q_norm->weight : torch::Tensor(),
                                         .k_norm = k_norm ? k_norm->weight : torch::Tensor(),
                                         .norm_eps = options_.norm_eps,
                                         .heads = options_.heads};
    if (fused_attention_takes(parameters, x.size(1))) {
      return fused_attention(x, parameters, residual);  // [batch, tokens, dim]
    }
  }
  const auto out = attend(x);                        // [batch, tokens, dim]
  return residual.defined() ? residual + out : out;  // [batch, tokens, dim]
}

torch::Tensor AttentionImpl::attend(const torch::Tensor& x) {
  const int64_t batch = x.size(0);
  const int64_t tokens = x.size(1);
  const int64_t dim = options_.dim;
  const auto parts = qkv(x)
                         .view({batch, tokens, 3, options_.heads, dim / options_.heads})
                         .permute({2, 0, 3, 1, 4});  // [3, batch, heads, tokens, head_dim]
  auto queries = parts[0];                           // [batch, heads, tokens, head_dim]
  auto keys = parts[1];                              // [batch, heads, tokens, head_dim]
  if (options_.qk_norm) {
    queries = q_norm(queries);
    keys = k_norm(keys);
  }
  const double dropout = is_training() ? options_.attn_drop : 0.0;
  const auto mixed = at::scaled_dot_product_attention(queries, keys, parts[2], /*attn_mask=*/{},
                                                      dropout);  // [batch, heads, tokens, head_dim]
  const auto out = proj(mixed.transpose(1, 2).reshape({batch, tokens, dim}));
  return options_.drop > 0 ? torch::dropout(out, options_.drop, is_training()) : out;
}

AttentionPoolImpl::AttentionPoolImpl(const VitOptions& options) : options_(options) {
  AttentionPoolImpl::reset();
}

void AttentionPoolImpl::reset() {
  const int64_t dim = options_.dim;
  latent = register_parameter("latent", torch::empty({1, 1, dim}));
  init_xavier_uniform(latent, /*fan_in=*/1, dim);
  q = register_module("q", Linear(dim, dim));
  kv = register_module("kv", Linear(dim, 2 * dim));
  init_xavier_uniform(kv->weight, dim, dim);
  if (options_.qk_norm) {
    const int64_t head_dim = dim / options_.heads;
    q_norm = register_module("q_norm", LayerNorm(head_dim, options_.norm_eps, /*with_bias=*/false));
    k_norm = register_module("k_norm", LayerNorm(head_dim, options_.norm_eps, /*with_bias=*/false));
  }
  proj = register_module("proj", Linear(dim, dim));
  norm = register_module("norm", LayerNorm(dim, options_.norm_eps));
  mlp = register_module("mlp", Mlp(dim, options_.mlp_dim, options_.gelu, /*dropout=*/0.0));
}

torch::Tensor AttentionPoolImpl::forward(const torch::Tensor& x) {
  const int64_t batch = x.size(0);
  const int64_t heads = options_.heads;
  const int64_t head_dim = options_.dim / heads;
  auto queries = q(latent.expand({batch, 1, options_.dim}))
                     .view({batch, 1, heads, head_dim})
                     .transpose(1, 2);  // [batch, heads, 1, head_dim]
  const auto parts = kv(x)
                         .view({batch, x.size(1), 2, heads, head_dim})
                         .permute({2, 0, 3, 1, 4});  // [2, batch, heads, tokens, head_dim]
  auto keys = parts[0];                              // [batch, heads, tokens, head_dim]
  if (options_.qk_norm) {
    queries = q_norm(queries);
    keys = k_norm(keys);
  }
  const auto mixed = at::scaled_dot_product_attention(queries, keys, parts[1]);
  const auto pooled = proj(mixed.transpose(1, 2).reshape({batch, options_.dim}));  // [batch, dim]
  return pooled + mlp(norm(pooled));                                               // [batch, dim]
}

}  // namespace softmoe
