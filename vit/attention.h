#pragma once
/// Multi-head self-attention of a block.

#include "ops/packed_sequences.h"
#include "vit/layer_norm.h"
#include "vit/linear.h"
#include "vit/options.h"

namespace softmoe {

/// Self-attention with queries, keys and values from one map: parameters `qkv`, `proj`, and with
/// QK-norm (Dehghani et al., arXiv:2302.05442) `q_norm` and `k_norm`, without bias, over the
/// channels of a head.
class AttentionImpl : public torch::nn::Cloneable<AttentionImpl> {
 public:
  explicit AttentionImpl(const VitOptions& options);
  void reset() override;
  /// Attention of `x` [batch, tokens, dim], or of the packed `sequences` in it, plus `residual` of
  /// the same shape if it is defined.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& residual = {},
                        const PackedSequences& sequences = {});

  Linear qkv{nullptr};
  Linear proj{nullptr};
  LayerNorm q_norm{nullptr};
  LayerNorm k_norm{nullptr};

 private:
  VitOptions options_;
};
TORCH_MODULE(Attention);

}  // namespace softmoe
