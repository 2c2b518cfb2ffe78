#pragma once
/// Texts of different lengths, packed without their padding.

#include <torch/types.h>

#include "ops/packed_sequences.h"

namespace softmoe {

/// The tokens of a batch of texts, text after text in the order of their lengths.
struct TextBatch {
  PackedSequences sequences;
  torch::Tensor ids;        ///< [tokens] int64
  torch::Tensor positions;  ///< [tokens] int64: of each token in its text
  torch::Tensor cells;      ///< [tokens] int64: row * width + column in the padded batch
  torch::Tensor first;      ///< [batch] int64: of each text of the batch, its first packed token
  torch::Tensor lengths;    ///< [batch] int64
  torch::Tensor place;  ///< [batch] int64: of each text of the batch, its number in packed order
};

/// Packs `ids` [batch, width] int64, of which the first `lengths` [batch] int64 of each row are
/// tokens; the tensors of the result are on the device of `ids`. Throws c10::ValueError unless
/// there is a text and all lengths are from 1 to `width` and to `context`.
TextBatch pack_texts(const torch::Tensor& ids, const torch::Tensor& lengths, int64_t context);

}  // namespace softmoe
