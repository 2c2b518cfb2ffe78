#pragma once
/// Small text towers and texts of different lengths.

#include <string>

#include "vit/image_text_options.h"
#include "vit/small_models.h"
#include "vit/text_tower.h"

namespace softmoe::test {

/// A text tower that a test is repeated for.
struct TextCase {
  std::string name;
  TextOptions options;
};

inline void PrintTo(const TextCase& text, std::ostream* out) { *out << text.name; }

/// 29 ids, 11 tokens, width 48 in 3 heads, 2 blocks, embeddings of width 18.
inline TextOptions small_text_options() {
  TextOptions options;
  options.vocab_size = 29;
  options.context = 11;
  options.dim = 48;
  options.depth = 2;
  options.heads = 3;
  options.mlp_dim = 80;
  options.embed_dim = 18;
  return options;
}

/// small_text_options() read in both directions, with MoE layers of 3 experts in block 1.
inline TextOptions small_text_moe_options(const std::string& router = "soft") {
  auto options = small_text_options();
  options.causal = false;
  options.pool = TextPool::kMean;
  options.moe_blocks = "1";
  options.moe.router = router;
  options.moe.experts = 3;
  options.moe.slots_per_expert = router.starts_with("soft") || router.starts_with("uni") ? 2 : 0;
  return options;
}

/// An image tower of width 24 beside small_text_options().
inline ImageTextOptions small_image_text_options() {
  ImageTextOptions options;
  options.image = small_options();
  options.image.num_classes = 0;
  options.text = small_text_options();
  return options;
}

/// Texts in rows of ids, and their lengths.
struct Texts {
  torch::Tensor ids;      ///< [batch, width]
  torch::Tensor lengths;  ///< [batch]
};

/// Five texts of 3, 7, 5, 3 and 1 tokens below `vocab_size` in rows of 7; padding is 0.
inline Texts small_texts(int64_t vocab_size = 29) {
  torch::manual_seed(8);
  const auto lengths = torch::tensor({3, 7, 5, 3, 1}, torch::kInt64);
  const auto columns = torch::arange(7).unsqueeze(0);  // [1, width]
  const auto ids = torch::randint(1, vocab_size, {5, 7}, torch::kInt64) *
                   columns.lt(lengths.unsqueeze(1)).to(torch::kInt64);  // [batch, width]
  return {.ids = ids, .lengths = lengths};
}

/// `texts` with `more` columns of other padding, and other padding in the columns that they have.
inline Texts more_padding(const Texts& texts, int64_t more, int64_t padding) {
  const auto wide = torch::constant_pad_nd(texts.ids, {0, more}, padding);  // [batch, width + more]
  const auto columns = torch::arange(wide.size(1)).unsqueeze(0);
  return {.ids = wide.masked_fill(columns.ge(texts.lengths.unsqueeze(1)), padding),
          .lengths = texts.lengths};
}

/// Text number `index` by itself, without padding.
inline Texts single_text(const Texts& texts, int64_t index) {
  const auto length = texts.lengths.narrow(0, index, 1);
  return {.ids = texts.ids.narrow(0, index, 1).narrow(1, 0, length.item<int64_t>()),
          .lengths = length};
}

/// A model from a seed in which no bias is zero.
template <typename Model>
void enliven(Model& model) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->named_parameters()) {
    if (parameter.key().ends_with("bias") || parameter.key().ends_with("embed") ||
        parameter.key().ends_with("_token")) {
      parameter.value().normal_(0.0, 0.3);
    }
  }
}

inline TextTower lively_text_tower(const TextOptions& options, uint64_t seed = 9) {
  torch::manual_seed(seed);
  TextTower tower(options);
  enliven(tower);
  return tower;
}

}  // namespace softmoe::test
