#include "text/token_batch.h"

#include <ATen/Functions.h>

#include <algorithm>

namespace softmoe {

TokenBatch TokenBatch::to(const torch::Device& device) const {
  return {.ids = ids.to(device), .lengths = lengths.to(device)};
}

TokenBatch encode_texts(const Tokenizer& tokenizer, std::span<const std::string> texts,
                        int64_t max_tokens) {
  std::vector<std::vector<int64_t>> tokens;
  tokens.reserve(texts.size());
  for (const auto& text : texts) {
    tokens.push_back(tokenizer.encode(text, max_tokens));
  }
  return pad_tokens(tokenizer, tokens, max_tokens);
}

TokenBatch pad_tokens(const Tokenizer& tokenizer, std::span<const std::vector<int64_t>> texts,
                      int64_t max_tokens) {
  int64_t columns = tokenizer.reads_padding() ? max_tokens : 0;
  for (const auto& text : texts) {
    columns = std::max(columns, std::ssize(text));
  }
  TORCH_CHECK_VALUE(columns <= max_tokens, "pad_tokens: a text of ", columns, " tokens, of ",
                    max_tokens, " that are allowed");
  TokenBatch batch;
  batch.ids = torch::full({std::ssize(texts), columns}, tokenizer.pad_id(),
                          torch::kInt64);                            // [texts, tokens]
  batch.lengths = torch::empty({std::ssize(texts)}, torch::kInt64);  // [texts]
  for (int64_t row = 0; row < std::ssize(texts); ++row) {
    const auto& text = texts[static_cast<size_t>(row)];
    std::copy(text.begin(), text.end(), batch.ids.data_ptr<int64_t>() + row * columns);
    batch.lengths.data_ptr<int64_t>()[row] = tokenizer.reads_padding() ? columns : std::ssize(text);
  }
  return batch;
}

}  // namespace softmoe
