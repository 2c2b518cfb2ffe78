#pragma once
/// The options of a text tower.

#include <cstdint>
#include <string>

#include "vit/options.h"

namespace softmoe {

/// How the tokens of a text become one vector.
enum class TextPool {
  kLast,   ///< the last token (SigLIP, whose texts are padded to the full context as tokens)
  kEot,    ///< the token that ends the text (CLIP)
  kMean,   ///< mean of all tokens
  kFirst,  ///< the first token
};
template <>
inline constexpr std::array<EnumName<TextPool>, 4> kEnumNames<TextPool>{
    {{TextPool::kLast, "last"},
     {TextPool::kEot, "eot"},
     {TextPool::kMean, "mean"},
     {TextPool::kFirst, "first"}}};

/// TextOptions::eot_token of texts that end at the first of their largest ids, as in OpenAI's CLIP.
inline constexpr int64_t kLargestId = -1;

/// Everything that defines a text tower but its weights. The defaults are the tower of OpenAI's
/// CLIP ViT-B (Radford et al., arXiv:2103.00020), with its vocabulary.
struct TextOptions {
  int64_t vocab_size = 49'408;  ///< ids of tokens are below this
  int64_t context = 77;         ///< max tokens of a text
  int64_t dim = 512;
  int64_t depth = 12;
  int64_t heads = 8;
  int64_t mlp_dim = 2048;
  bool causal = true;  ///< a token attends to itself and those before it alone
  TextPool pool = TextPool::kEot;
  int64_t eot_token = kLargestId;  ///< id of the token that ends a text, or kLargestId
  int64_t embed_dim = 512;         ///< width of the final projection; 0: none
  bool projection_bias = false;
  Activation gelu = Activation::kGeluExact;
  double norm_eps = 1e-5;
  double drop = 0.0;
  double drop_path = 0.0;  ///< of the last block; grows linearly from 0 at the first
  std::string moe_blocks = "none";
  MoeOptions moe;

  bool operator==(const TextOptions&) const = default;

  /// Width of an embedding.
  int64_t embedding_dim() const { return embed_dim > 0 ? embed_dim : dim; }
};

void describe(OptionTable& table, TextOptions& options);

/// Throws UsageError that names the option, after `prefix`, if the options contradict each other or
/// their router takes no texts.
void validate(const TextOptions& options, const std::string& prefix = "");

/// "soft, soft_uniform, ...": the routers that take texts.
std::string text_router_names();

/// The blocks of a text tower as those of a vision transformer with `context` patches in a row.
VitOptions block_options(const TextOptions& options);

}  // namespace softmoe
