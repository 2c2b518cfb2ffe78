#pragma once
/// Multi-head self-attention, and attention pooling.

#include "vit/layers.h"

namespace softmoe {

/// Self-attention with fused q, k, v: parameters `qkv`, `proj`, and `q_norm`, `k_norm` (without
/// bias, over the channels of a head) where QK-norm is on (Dehghani et al., arXiv:2302.05442).
class AttentionImpl : public torch::nn::Cloneable<AttentionImpl> {
 public:
  explicit AttentionImpl(const VitOptions& options);
  void reset() override;
  /// Attention of `x` [batch, tokens, dim], plus `residual` where it is defined.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& residual = {});

  Linear qkv{nullptr};
  Linear proj{nullptr};
  LayerNorm q_norm{nullptr};
  LayerNorm k_norm{nullptr};

 private:
  torch::Tensor attend(const torch::Tensor& x);

  VitOptions options_;
};
TORCH_MODULE(Attention);

/// One learned query attends to the tokens it is given; an MLP with a residual follows (the MAP
/// head of arXiv:2106.04560, timm's attn_pool): parameters `latent` [1, 1, dim], `q`, `kv`, `proj`,
/// `norm`, `mlp`, and `q_norm`, `k_norm` where QK-norm is on. No dropout, as in the reference.
class AttentionPoolImpl : public torch::nn::Cloneable<AttentionPoolImpl> {
 public:
  explicit AttentionPoolImpl(const VitOptions& options);
  void reset() override;
  /// `x` [batch, tokens, dim] to [batch, dim].
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor latent;
  Linear q{nullptr};
  Linear kv{nullptr};
  LayerNorm q_norm{nullptr};
  LayerNorm k_norm{nullptr};
  Linear proj{nullptr};
  LayerNorm norm{nullptr};
  Mlp mlp{nullptr};

 private:
  VitOptions options_;
};
TORCH_MODULE(AttentionPool);

}  // namespace softmoe
