#pragma once
/// Attention pooling.

#include "vit/layer_norm.h"
#include "vit/linear.h"
#include "vit/mlp.h"
#include "vit/options.h"

namespace softmoe {

/// One learned query attends to the tokens it is given; an MLP with a residual follows (the MAP
/// head of arXiv:2106.04560, timm's attn_pool): parameters `latent` [1, 1, dim], `q`, `kv`, `proj`,
/// `norm`, `mlp`, and with QK-norm `q_norm` and `k_norm`. No dropout, as in the reference.
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
