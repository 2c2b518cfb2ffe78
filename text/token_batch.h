#pragma once
/// Texts as the tensors that a text tower reads.

#include <torch/types.h>

#include <span>
#include <string>

#include "text/tokenizer.h"

namespace softmoe {

/// Some texts as tokens.
struct TokenBatch {
  torch::Tensor ids;      ///< [texts, tokens] int64, padded with Tokenizer::pad_id()
  torch::Tensor lengths;  ///< [texts] int64: the tokens of each text that are read

  TokenBatch to(const torch::Device& device) const;
};

/// The tokens of `texts`, at most `max_tokens` each: as many columns as the longest text has, or
/// `max_tokens` if the tokenizer's models read padding, whose lengths then count it.
TokenBatch encode_texts(const Tokenizer& tokenizer, std::span<const std::string> texts,
                        int64_t max_tokens);

/// encode_texts() of texts that are tokens already, at most `max_tokens` each.
TokenBatch pad_tokens(const Tokenizer& tokenizer, std::span<const std::vector<int64_t>> texts,
                      int64_t max_tokens);

}  // namespace softmoe
