#pragma once
/// The text tower: a transformer over tokens of text, of the blocks that images have.

#include <torch/nn/modules/container/modulelist.h>

#include "vit/block_list.h"
#include "vit/text_batch.h"
#include "vit/text_options.h"

namespace softmoe {

/// Token embedding and learned positions, blocks (`blocks.<i>`, MoE layers at `blocks.<i>.moe`), a
/// final LayerNorm (`norm`), pooling, projection (`projection`). Parameters `token_embed`
/// [vocab_size, dim] and `pos_embed` [context, dim].
///
/// Texts are packed without their padding (TextBatch), so padding changes no bit of a result. MoE
/// layers that mix the tokens of a text see later tokens, too, even if attention is causal.
class TextTowerImpl : public torch::nn::Cloneable<TextTowerImpl> {
 public:
  /// Throws UsageError if the options contradict each other.
  explicit TextTowerImpl(TextOptions options);
  void reset() override;

  /// Embeddings [batch, embedding_dim] of texts: of each row of `ids` [batch, width] int64 the
  /// first `lengths` [batch] int64 are tokens. Not normalised. Throws c10::ValueError for lengths
  /// that are not from 1 to `width` and to the context.
  torch::Tensor forward(const torch::Tensor& ids, const torch::Tensor& lengths,
                        RoutingRecords* records = nullptr);
  /// Tokens behind the final norm, [batch, width, dim]; 0 where `ids` have padding.
  torch::Tensor forward_tokens(const torch::Tensor& ids, const torch::Tensor& lengths,
                               RoutingRecords* records = nullptr);

  /// Tokens of `texts` behind the final norm, [tokens, dim], in their packed order.
  torch::Tensor packed_tokens(const TextBatch& texts, RoutingRecords* records = nullptr);

  /// One record for each MoE block that wants `wants`.
  RoutingRecords routing_records(const RoutingWants& wants) const;

  /// Lets the blocks keep no activations in training but compute them again in the backward pass.
  void set_grad_checkpointing(bool enabled) { grad_checkpointing_ = enabled; }

  const TextOptions& options() const { return options_; }

 private:
  /// Tokens behind the last block, [tokens, dim], in the order of `texts`.
  torch::Tensor run_blocks(const TextBatch& texts, RoutingRecords* records);
  /// One vector for each text of the batch behind the final norm, [batch, dim], of `tokens`
  /// [tokens, dim].
  torch::Tensor pool(const torch::Tensor& tokens, const TextBatch& texts);

  TextOptions options_;
  bool grad_checkpointing_ = false;
  torch::Tensor token_embed_;
  torch::Tensor pos_embed_;
  torch::nn::ModuleList blocks_{nullptr};
  LayerNorm norm_{nullptr};
  Linear projection_{nullptr};
};
TORCH_MODULE(TextTower);

/// Adds the `records` of a text tower to those of an image tower of `depth` blocks, whose numbers
/// come first.
void append_text_records(RoutingRecords& images, RoutingRecords records, int64_t depth);

/// The token of each text that ends it, [batch] int64, as a packed one: the first with the id
/// `eot_token` (kLargestId: with the largest id), the last token of texts that have none.
torch::Tensor end_tokens(const TextBatch& texts, int64_t eot_token);

}  // namespace softmoe
