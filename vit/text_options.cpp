#include "vit/text_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "softmoe/routers.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

constexpr int64_t kMaxVocabulary = 10'000'000;
constexpr int64_t kMaxContext = 16'384;
constexpr int64_t kMaxTextWidth = 65'536;
constexpr int64_t kMaxTextHidden = 131'072;

}  // namespace

std::string text_router_names() {
  std::vector<std::string_view> names;
  for (const auto& row : router_rows()) {
    if (row.texts != TextRouting::kNone) {
      names.push_back(row.name);
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void describe(OptionTable& table, TextOptions& options) {
  table.add("vocab-size", options.vocab_size, "entries of the vocabulary",
            {.min = 1, .max = kMaxVocabulary});
  table.add("context", options.context, "longest text",
            {.unit = "tokens", .min = 1, .max = kMaxContext});
  table.add("dim", options.dim, "width of a token of a text",
            {.unit = "channels", .min = 1, .max = kMaxTextWidth});
  table.add("depth", options.depth, "transformer blocks",
            {.unit = "blocks", .min = 1, .max = kMaxBlocks});
  table.add("heads", options.heads, "attention heads", {.min = 1, .max = kMaxTextWidth});
  table.add("mlp-dim", options.mlp_dim, "width inside an MLP or expert",
            {.unit = "channels", .min = 1, .max = kMaxTextHidden});
  table.add("causal", options.causal, "a token attends to itself and those before it alone");
  table.add("pool", options.pool,
            "the token that stands for a text: last, end-of-text, their mean, or first");
  table.add("eot-token", options.eot_token,
            "id of the token that ends a text; -1: the first of the largest ids",
            {.min = kLargestId, .max = kMaxVocabulary});
  table.add("embed-dim", options.embed_dim, "width of the final projection; 0: none",
            {.unit = "channels", .min = 0, .max = kMaxTextWidth});
  table.add("projection-bias", options.projection_bias, "bias of the final projection (SigLIP)");
  table.add("gelu", options.gelu,
            "GELU: tanh approximation (SigLIP), exact (open_clip) or quick (OpenAI's CLIP)");
  table.add("norm-eps", options.norm_eps, "added to variances in LayerNorm", {.min = 0, .max = 1});
  table.add("drop", options.drop, "dropout rate", {.min = 0, .max = 1});
  table.add("drop-path", options.drop_path, "stochastic depth rate of the last block",
            {.min = 0, .max = 0.999});
  table.add("moe-blocks", options.moe_blocks,
            "blocks with MoE layers: none, all, last_half, last_N, every_N or a list 1,3,5");
  describe(table, options.moe);
}

void validate(const TextOptions& options, const std::string& prefix) {
  auto copy = options;
  const auto table = option_table(copy);
  table.from_json(table.to_json(), prefix);
  if (options.dim % options.heads != 0) {
    throw UsageError(prefix + "dim", fmt::format("a multiple of {}heads {}", prefix, options.heads),
                     std::to_string(options.dim));
  }
  if (options.eot_token >= options.vocab_size) {
    throw UsageError(prefix + "eot-token",
                     fmt::format("below {}vocab-size {}", prefix, options.vocab_size),
                     std::to_string(options.eot_token));
  }
  const auto blocks = block_options(options);
  if (has_moe(blocks) && router_row(options.moe.router).texts == TextRouting::kNone) {
    throw UsageError(prefix + "router", "one that takes texts: " + text_router_names(),
                     options.moe.router);
  }
  try {
    validate(blocks);
  } catch (const UsageError& error) {
    throw UsageError(prefix.empty() ? error.what() : prefix + error.what());
  }
}

VitOptions block_options(const TextOptions& options) {
  VitOptions blocks;
  blocks.img_size = {1, options.context};
  blocks.patch_size = 1;
  blocks.in_chans = 1;
  blocks.num_classes = 0;
  blocks.dim = options.dim;
  blocks.depth = options.depth;
  blocks.heads = options.heads;
  blocks.mlp_dim = options.mlp_dim;
  blocks.gelu = options.gelu;
  blocks.norm_eps = options.norm_eps;
  blocks.drop = options.drop;
  blocks.drop_path = options.drop_path;
  blocks.moe_blocks = options.moe_blocks;
  blocks.moe = options.moe;
  return blocks;
}

}  // namespace softmoe
