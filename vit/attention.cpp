#include "vit/attention.h"

#include "ops/attention.h"
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

torch::Tensor AttentionImpl::forward(const torch::Tensor& x, const torch::Tensor& residual,
                                     const PackedSequences& sequences) {
  const AttentionParameters parameters{.qkv_weight = qkv->weight,
                                       .qkv_bias = qkv->bias,
                                       .proj_weight = proj->weight,
                                       .proj_bias = proj->bias,
                                       .q_norm = q_norm ? q_norm->weight : torch::Tensor(),
                                       .k_norm = k_norm ? k_norm->weight : torch::Tensor(),
                                       .norm_eps = options_.norm_eps,
                                       .heads = options_.heads};
  const AttentionDropout dropout{
      .weights = options_.attn_drop, .output = options_.drop, .training = is_training()};
  return attention(x, parameters, dropout, residual, sequences);  // [batch, tokens, dim]
}

}  // namespace softmoe
