#pragma once
/// Tokens of images and of texts in one sequence: early fusion.

#include "vit/text_batch.h"

namespace softmoe {

/// Texts that go through the blocks of images, one per image.
struct AppendedTexts {
  const TextBatch& texts;
  torch::Tensor tokens;  ///< [text tokens, dim], in the packed order of `texts`
};

/// What blocks make of images with texts.
struct JoinedFeatures {
  torch::Tensor features;  ///< [batch, feature_dim], pooled from the tokens of images alone
  torch::Tensor texts;     ///< [text tokens, dim], in packed order
};

/// Joined tokens, taken apart again.
struct SplitTokens {
  torch::Tensor images;  ///< [batch, tokens, dim], in the order of the batch
  torch::Tensor texts;   ///< [text tokens, dim], in packed order
};

/// The sequences of joined_tokens(): each text behind the `image_tokens` tokens of its image, in
/// the packed order of `texts`. There is no padding that could be routed.
PackedSequences joined_sequences(int64_t image_tokens, const TextBatch& texts);

/// `images` [batch, tokens, dim] with texts behind them, [1, joined tokens, dim]. Throws
/// c10::ValueError if there is not one text per image.
torch::Tensor joined_tokens(const torch::Tensor& images, const AppendedTexts& texts);

/// The parts of `tokens` [1, joined tokens, dim].
SplitTokens split_joined(const torch::Tensor& tokens, int64_t image_tokens, const TextBatch& texts);

}  // namespace softmoe
