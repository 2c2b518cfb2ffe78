#include "vit/attention_pool.h"

#include "ops/attention.h"
#include "ops/initialization.h"

namespace softmoe {

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
  const auto mixed = attend(queries, keys, parts[1]);  // [batch, heads, 1, head_dim]
  const auto pooled = proj(mixed.transpose(1, 2).reshape({batch, options_.dim}));  // [batch, dim]
  return pooled + mlp(norm(pooled));                                               // [batch, dim]
}

}  // namespace softmoe
