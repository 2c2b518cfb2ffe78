#pragma once
/// The vision transformer (Dosovitskiy et al., arXiv:2010.11929) with dense or MoE blocks.

#include <torch/nn/modules/container/modulelist.h>

#include <functional>
#include <vector>

#include "vit/attention_pool.h"
#include "vit/block_list.h"
#include "vit/joined_tokens.h"
#include "vit/patch_embed.h"
#include "vit/position_embedding.h"

namespace softmoe {

/// Is called with the tokens [batch, tokens, dim] before the first block and behind each block.
using TokenVisitor = std::function<void(const torch::Tensor& tokens)>;

/// A vision transformer; parameters carry timm's names, MoE layers stand at `blocks.<i>.moe`.
class VisionTransformerImpl : public torch::nn::Cloneable<VisionTransformerImpl> {
 public:
  /// Throws UsageError if the options contradict each other.
  explicit VisionTransformerImpl(VitOptions options);
  void reset() override;

  /// Logits [batch, num_classes] of `images` [batch, in_chans, height, width]; the features if
  /// the model has no head.
  torch::Tensor forward(const torch::Tensor& images, RoutingRecords* records = nullptr);
  /// What the head gets, [batch, feature_dim]: the features of few-shot probes. With a distillation
  /// token its features follow those of the class token.
  torch::Tensor forward_features(const torch::Tensor& images, RoutingRecords* records = nullptr,
                                 const TokenVisitor& visit = {});
  /// Tokens after the last block and the final norm on tokens, [batch, tokens, dim].
  torch::Tensor forward_tokens(const torch::Tensor& images, RoutingRecords* records = nullptr,
                               const TokenVisitor& visit = {});
  /// The tokens before the first block and behind each block, [batch, tokens, dim].
  std::vector<torch::Tensor> forward_intermediates(const torch::Tensor& images);
  /// The features of `images` in blocks that see the tokens of `texts`, one per image, too, and
  /// these tokens behind the last block and the final norm on tokens. Throws c10::ValueError if
  /// there is not one text per image, and for routers that take no texts.
  JoinedFeatures forward_joined(const torch::Tensor& images, const AppendedTexts& texts,
                                RoutingRecords* records = nullptr);
  /// Logits of features, [batch, num_classes]: the mean of head_logits().
  torch::Tensor forward_head(const torch::Tensor& features);
  /// Logits of features [batch, num_classes] by each head: that of the class token, then that of
  /// the distillation token if there is one (Touvron et al., arXiv:2012.12877, section 4).
  std::vector<torch::Tensor> head_logits(const torch::Tensor& features);

  /// One record for each MoE block that wants `wants`.
  RoutingRecords routing_records(const RoutingWants& wants) const;
  /// Returns true if a router is to learn from a sample of the training set before training.
  bool wants_router_sample() const;
  /// Gives it to them: `images` [batch, in_chans, height, width], preprocessed (Router::fit). Of
  /// routers that learn from tokens, those of later blocks get what the earlier ones make of them,
  /// in evaluation mode and of the first images alone.
  void fit_routers(const torch::Tensor& images);
  /// Calls `visit` for every block, in order, with its number and what its MLP or MoE layer gets of
  /// `images`, [batch, tokens, dim], before that layer runs.
  void visit_branch_inputs(
      const torch::Tensor& images,
      const std::function<void(int64_t block, const torch::Tensor& inputs)>& visit);

  /// Lets the blocks keep no activations in training but compute them again in the backward pass:
  /// gradients stay equal, memory falls, and an update takes about a third longer. Blocks whose
  /// routing records carry gradients keep theirs.
  void set_grad_checkpointing(bool enabled) { grad_checkpointing_ = enabled; }

  /// Takes square or other images of any multiples of the patch size, not only those of the
  /// options: the position embedding is interpolated to their grid (bicubic with antialiasing),
  /// with gradients for its entries, and stays as it is.
  void set_any_image_size(bool enabled) { any_image_size_ = enabled; }

  const VitOptions& options() const { return options_; }

 private:
  bool some_router_wants(RouterSample sample) const;
  void register_embedding();
  void register_heads();
  /// The learned tokens before the patches, [1, prefix_tokens, dim].
  torch::Tensor prefix() const;
  /// The position embedding of images with `grid`, [1, positions, dim].
  torch::Tensor positions_of(Grid grid) const;
  void check_images(const torch::Tensor& images) const;
  torch::Tensor embed(const torch::Tensor& patches, Grid grid);
  /// Tokens before the first block, [batch, tokens, dim], of the patches of images.
  torch::Tensor first_tokens(const torch::Tensor& images, const torch::Tensor& patches);
  /// `tokens` through all blocks: those of images, or joined ones if `context` says so.
  torch::Tensor run_blocks(torch::Tensor tokens, const TokenContext& context,
                           RoutingRecords* records, const TokenVisitor& visit);
  /// Tokens of images behind the last block, [batch, tokens, dim].
  torch::Tensor run_images(const torch::Tensor& images, RoutingRecords* records,
                           const TokenVisitor& visit);
  torch::Tensor pool(const torch::Tensor& tokens);
  torch::Tensor pooled_features(const torch::Tensor& tokens);

  VitOptions options_;
  bool grad_checkpointing_ = false;
  bool any_image_size_ = false;
  PatchEmbed patch_embed_{nullptr};
  torch::Tensor class_token_;
  torch::Tensor dist_token_;
  torch::Tensor reg_token_;
  torch::Tensor pos_embed_;
  LayerNorm norm_pre_{nullptr};
  torch::nn::ModuleList blocks_{nullptr};
  LayerNorm norm_{nullptr};
  LayerNorm fc_norm_{nullptr};
  AttentionPool attn_pool_{nullptr};
  Linear pre_logits_{nullptr};
  Linear head_{nullptr};
  Linear head_dist_{nullptr};
};
TORCH_MODULE(VisionTransformer);

}  // namespace softmoe
