#include "ops/attention.h"

#include <ATen/Functions.h>

#include "ops/batch_rows.h"
#include "ops/fused/applies.h"
#include "ops/fused/attention.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"

namespace softmoe {
namespace {

/// The softmax attention of `qkv` [batch, tokens, 3 dim], [batch, tokens, dim].
torch::Tensor attend_in_heads(const torch::Tensor& qkv, const AttentionParameters& parameters,
                              const AttentionDropout& dropout, bool causal) {
  const auto [batch, tokens, dim] = std::tuple(qkv.size(0), qkv.size(1), qkv.size(2) / 3);
  const int64_t head_dim = dim / parameters.heads;
  const auto parts = qkv.view({batch, tokens, 3, parameters.heads, head_dim})
                         .permute({2, 0, 3, 1, 4});  // [3, batch, heads, tokens, head_dim]
  const auto normed = [&](const torch::Tensor& heads, const torch::Tensor& weight) {
    return weight.defined() ? layer_norm(heads, weight, /*bias=*/{}, parameters.norm_eps) : heads;
  };
  const auto queries = normed(parts[0], parameters.q_norm);  // [batch, heads, tokens, head_dim]
  const auto keys = normed(parts[1], parameters.k_norm);     // [batch, heads, tokens, head_dim]
  return attend(queries, keys, parts[2], dropout.training ? dropout.weights : 0.0, causal)
      .transpose(1, 2)
      .reshape({batch, tokens, dim});
}

/// Run after run of packed sequences: attention of `qkv` [1, tokens, 3 dim], [1, tokens, dim].
torch::Tensor attend_in_runs(const torch::Tensor& qkv, const AttentionParameters& parameters,
                             const AttentionDropout& dropout, const PackedSequences& sequences) {
  auto runs = split_runs(qkv, sequences);  // [count, length, 3 dim] each
  for (auto& run : runs) {
    run = attend_in_heads(run, parameters, dropout, sequences.causal);  // [count, length, dim]
  }
  return joined_runs(runs);  // [1, tokens, dim]
}

/// By libtorch's operators.
torch::Tensor attention_in_steps(const torch::Tensor& x, const AttentionParameters& parameters,
                                 const AttentionDropout& dropout,
                                 const PackedSequences& sequences) {
  const auto qkv = linear(x, parameters.qkv_weight, parameters.qkv_bias);  // [.., .., 3 dim]
  const auto mixed = sequences.empty() ? attend_in_heads(qkv, parameters, dropout, sequences.causal)
                                       : attend_in_runs(qkv, parameters, dropout, sequences);
  const auto out = linear(mixed, parameters.proj_weight, parameters.proj_bias);
  return dropout_rows(out, dropout.output, dropout.training);  // [batch, tokens, dim]
}

}  // namespace

torch::Tensor attention(const torch::Tensor& x, const AttentionParameters& parameters,
                        const AttentionDropout& dropout, const torch::Tensor& residual,
                        const PackedSequences& sequences) {
  const auto tokens = longest_sequence(sequence_offsets(x, sequences));
  const bool drops = dropout.training && (dropout.output > 0 || dropout.weights > 0);
  const auto precision = fused::precision_of(x);
  if (!drops && !sequences.causal && precision && fused::takes_attention(parameters, tokens)) {
    return fused::attention(x, parameters, *precision, residual, sequences);
  }
  const auto out = attention_in_steps(x, parameters, dropout, sequences);  // [batch, tokens, dim]
  return residual.defined() ? residual + out : out;                        // [batch, tokens, dim]
}

torch::Tensor attend(const torch::Tensor& queries, const torch::Tensor& keys,
                     const torch::Tensor& values, double drop_weights, bool causal) {
  return at::scaled_dot_product_attention(queries, keys, values, /*attn_mask=*/{}, drop_weights,
                                          causal);
}

}  // namespace softmoe
