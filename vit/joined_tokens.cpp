#include "vit/joined_tokens.h"

#include <ATen/Functions.h>

#include <vector>

namespace softmoe {

PackedSequences joined_sequences(int64_t image_tokens, const TextBatch& texts) {
  PackedSequences joined;
  for (const auto& run : texts.sequences.runs) {
    joined.runs.push_back({.count = run.count, .length = image_tokens + run.length});
  }
  return joined;
}

torch::Tensor joined_tokens(const torch::Tensor& images, const AppendedTexts& texts) {
  TORCH_CHECK_VALUE(images.size(0) == texts.texts.place.size(0), "joined_tokens: ", images.size(0),
                    " images with ", texts.texts.place.size(0), " texts");
  // Images in the order in which their texts are packed.
  const auto packed = images.index_select(0, texts.texts.place.argsort());  // [batch, tokens, dim]
  std::vector<torch::Tensor> runs;
  int64_t first = 0;
  for (const auto& text : split_runs(texts.tokens, texts.texts.sequences)) {
    const int64_t count = text.size(0);
    const auto own = packed.narrow(0, first, count);                // [count, tokens, dim]
    runs.push_back(at::cat({own, text.to(own.scalar_type())}, 1));  // [count, joined tokens, dim]
    first += count;
  }
  return joined_runs(runs);  // [1, joined tokens, dim]
}

SplitTokens split_joined(const torch::Tensor& tokens, int64_t image_tokens,
                         const TextBatch& texts) {
  std::vector<torch::Tensor> images;
  std::vector<torch::Tensor> behind;
  for (const auto& run : split_runs(tokens, joined_sequences(image_tokens, texts))) {
    images.push_back(run.narrow(1, 0, image_tokens));            // [count, tokens, dim]
    behind.push_back(run.slice(1, image_tokens).flatten(0, 1));  // [text tokens, dim]
  }
  return {.images = at::cat(images).index_select(0, texts.place),  // [batch, tokens, dim]
          .texts = at::cat(behind)};                               // [text tokens, dim]
}

}  // namespace softmoe
