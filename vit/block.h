#pragma once
/// One pre-norm transformer block.

#include "softmoe/moe_layer.h"
#include "vit/attention.h"
#include "vit/layer_scale.h"
#include "vit/mlp.h"

namespace softmoe {

/// x + attn(norm1(x)), then x + mlp(norm2(x)), where a MoE layer (`moe`) can take the place of the
/// MLP (`mlp`), or stand beside it (MoeOptions::shared_mlp); LayerScale (`ls1`, `ls2`) and
/// stochastic depth on both branches.
class BlockImpl : public torch::nn::Cloneable<BlockImpl> {
 public:
  /// `drop_path_rate` is this block's own.
  BlockImpl(const VitOptions& options, bool has_moe, double drop_path_rate);
  void reset() override;
  /// `x` and the result: [batch, tokens, dim]. `context` is for the router of a MoE layer, and says
  /// if `x` holds packed sequences. Fills `record` if it is not null and the block has a MoE layer.
  torch::Tensor forward(const torch::Tensor& x, const TokenContext& context = {},
                        RoutingRecord* record = nullptr);

  /// What the MLP or the MoE layer gets for `x`, [batch, tokens, dim].
  torch::Tensor branch_inputs(const torch::Tensor& x);

  bool has_moe() const { return has_moe_; }

  LayerNorm norm1{nullptr};
  Attention attn{nullptr};
  LayerScale ls1{nullptr};
  LayerNorm norm2{nullptr};
  Mlp mlp{nullptr};
  MoeLayer moe{nullptr};
  LayerScale ls2{nullptr};

 private:
  /// The attention of `x` [batch, tokens, dim], added to it.
  torch::Tensor forward_attention(const torch::Tensor& x, const PackedSequences& sequences);
  /// Returns true if something comes between the end of a branch and the addition to its skip.
  bool changes_branches() const;
  /// `skip` plus what LayerScale `scale`, which may be empty, and stochastic depth make of
  /// `branch`.
  torch::Tensor joined(const torch::Tensor& skip, const torch::Tensor& branch, LayerScale& scale);

  VitOptions options_;
  bool has_moe_;
  double drop_path_rate_;
};
TORCH_MODULE(Block);

}  // namespace softmoe
