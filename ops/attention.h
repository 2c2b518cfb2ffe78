#pragma once
/// Multi-head attention.

#include <torch/types.h>

#include "ops/packed_sequences.h"

namespace softmoe {

/// Parameters of multi-head self-attention with its linear maps. Without QK-norm (Dehghani et al.,
/// arXiv:2302.05442) the norms are undefined.
struct AttentionParameters {
  torch::Tensor qkv_weight;   ///< [3 dim, dim]: queries, keys and values
  torch::Tensor qkv_bias;     ///< [3 dim]
  torch::Tensor proj_weight;  ///< [dim, dim]
  torch::Tensor proj_bias;    ///< [dim]
  torch::Tensor q_norm;       ///< [head_dim]
  torch::Tensor k_norm;       ///< [head_dim]
  double norm_eps = 0.0;
  int64_t heads = 1;
};

/// Dropout of attention, which evaluation leaves out.
struct AttentionDropout {
  double weights = 0.0;  ///< rate of the softmax weights
  double output = 0.0;   ///< rate of the result
  bool training = false;
};

/// Multi-head self-attention of `x` [batch, tokens, dim], plus `residual` of the same shape if it
/// is defined. If `x` holds packed `sequences`, each token attends to its own sequence. Throws
/// c10::ValueError if these are not the tokens of `x`.
torch::Tensor attention(const torch::Tensor& x, const AttentionParameters& parameters,
                        const AttentionDropout& dropout = {}, const torch::Tensor& residual = {},
                        const PackedSequences& sequences = {});

/// The softmax attention within it: what `queries` [batch, heads, queries, head_dim] make of `keys`
/// and `values` [batch, heads, tokens, head_dim], [batch, heads, queries, head_dim].
/// `drop_weights` is the dropout rate of the softmax weights; `causal`: query i attends to the keys
/// 0 to i.
torch::Tensor attend(const torch::Tensor& queries, const torch::Tensor& keys,
                     const torch::Tensor& values, double drop_weights = 0.0, bool causal = false);

}  // namespace softmoe
