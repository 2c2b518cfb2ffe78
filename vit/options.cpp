#include "vit/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "softmoe/routers.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

// What a file asks for is bounded before anything is made of it: the parameters of the largest
// model that these allow can still be counted in 64 bits.
constexpr int64_t kMaxEdge = 16'384;
constexpr int64_t kMaxChannels = 4'096;
constexpr int64_t kMaxWidth = 65'536;
constexpr int64_t kMaxHidden = 131'072;
constexpr int64_t kMaxClasses = 10'000'000;

/// Flags are checked against the table when they are read; options from code come here unchecked.
void check_limits(VitOptions options) {
  const auto table = option_table(options);
  table.from_json(table.to_json(), "");
}

void check_pool(const VitOptions& options) {
  const auto pool = options.global_pool;
  const bool reads_class_token = pool == GlobalPool::kToken || pool == GlobalPool::kTokenAvg;
  if (reads_class_token && !options.class_token) {
    throw UsageError("global-pool " + enum_name(pool) + " needs class-token");
  }
  if (options.pool_include_prefix && reads_class_token) {
    throw UsageError("pool-include-prefix needs global-pool avg or map");
  }
  if (pool == GlobalPool::kTokenAvg && options.final_norm != FinalNorm::kTokens) {
    throw UsageError("global-pool token_avg needs final-norm tokens");
  }
  if (options.dist_token && pool != GlobalPool::kToken) {
    throw UsageError("dist-token needs global-pool token");
  }
}

/// Experts and the attention pool have MLPs with a GELU, which models with SwiGLU do not have.
void check_swiglu(const VitOptions& options) {
  if (has_moe(options)) {
    throw UsageError("mlp-layer", "mlp with MoE layers, as experts have GELU",
                     "swiglu with moe-blocks " + options.moe_blocks);
  }
  if (options.global_pool == GlobalPool::kMap) {
    throw UsageError("mlp-layer", "mlp with global-pool map, whose own MLP has GELU", "swiglu");
  }
}

/// Options of which a router that ignores them would give a false idea.
constexpr std::array<const char*, 4> kRefusedIfIgnored{"combine", "router-scale-form",
                                                       "router-scale-max", "separate-scales"};

void check_ignored(const MoeOptions& moe) {
  const auto& row = router_row(moe.router);
  const auto values = options_to_json(moe);
  const auto defaults = options_to_json(MoeOptions{});
  const auto refuse = [&](const std::string& name) {
    std::vector<std::string_view> readers;
    for (const auto& other : router_rows()) {
      if (reads_option(other, name)) {
        readers.push_back(other.name);
      }
    }
    const auto& value = values.at(name);
    throw UsageError(
        name, fmt::format("a router that reads it, {}", fmt::join(readers, " or ")),
        fmt::format("{} with router {}",
                    value.is_string() ? value.get<std::string>() : json_text(value), moe.router));
  };
  for (const auto* const name : kRefusedIfIgnored) {
    if (values.at(name) != defaults.at(name) && !reads_option(row, name)) {
      refuse(name);
    }
  }
  if (moe.phi_init == PhiInit::kKMeans && !reads_option(row, "phi-init")) {
    refuse("phi-init");
  }
}

void check_moe(const VitOptions& options) {
  if (options.moe.experts < 1) {
    throw UsageError("experts", "at least 1 with moe-blocks " + options.moe_blocks,
                     std::to_string(options.moe.experts));
  }
  check_ignored(options.moe);
  const auto& router = router_row(options.moe.router);
  if (reads_option(router, "router-scale")) {
    initial_router_scale(options.moe, options.dim);
  }
  if (router.kind != RoutingKind::kSoft) {
    if (options.moe.sparse.top_k > options.moe.experts) {
      throw UsageError("top-k", "at most the experts, " + std::to_string(options.moe.experts),
                       std::to_string(options.moe.sparse.top_k));
    }
    return;
  }
  const int64_t slots = options.moe.experts * slots_per_expert(moe_layer_options(options));
  if (router.slots_are_tokens && slots != options.tokens()) {
    throw UsageError("experts",
                     "as many slots as tokens, " + std::to_string(options.tokens()) +
                         ", with router " + options.moe.router,
                     std::to_string(slots));
  }
}

}  // namespace

void describe(OptionTable& table, VitOptions& options) {
  table.add("img-size", options.img_size, "image size: one number, or height and width",
            {.unit = "px", .min = 1, .max = kMaxEdge});
  table.add("patch-size", options.patch_size, "edge of a square patch",
            {.unit = "px", .min = 1, .max = kMaxEdge});
  table.add("in-chans", options.in_chans, "channels of an image", {.min = 1, .max = kMaxChannels});
  table.add("num-classes", options.num_classes, "classes of the head; 0: no head",
            {.min = 0, .max = kMaxClasses});
  table.add("dim", options.dim, "width of a token",
            {.unit = "channels", .min = 1, .max = kMaxWidth});
  table.add("depth", options.depth, "transformer blocks",
            {.unit = "blocks", .min = 1, .max = kMaxBlocks});
  table.add("heads", options.heads, "attention heads", {.min = 1, .max = kMaxWidth});
  table.add("mlp-dim", options.mlp_dim, "width inside an MLP or expert",
            {.unit = "channels", .min = 1, .max = kMaxHidden});
  table.add("mlp-layer", options.mlp_layer,
            "MLP of dense blocks: with GELU, or SwiGLU (DINOv2's giants)");
  table.add(
      "global-pool", options.global_pool,
      "how tokens become one vector for the head: mean of the patches, class token, attention "
      "pooling, or class token and mean side by side (DINOv2's classifiers)");
  table.add("pool-include-prefix", options.pool_include_prefix,
            "avg and map pool class and register tokens too");
  table.add("final-norm", options.final_norm, "final LayerNorm on the tokens or after pooling");
  table.add("class-token", options.class_token, "prepend a learned class token");
  table.add("dist-token", options.dist_token,
            "prepend a distillation token with a head of its own (DeiT)");
  table.add("reg-tokens", options.reg_tokens, "learned tokens that nothing reads (registers)",
            {.min = 0, .max = kMaxWidth});
  table.add("pos-embed", options.pos_embed, "position embedding");
  table.add("pos-embed-prefix", options.pos_embed_prefix,
            "positions for class, distillation and register tokens too");
  table.add("pre-norm", options.pre_norm, "LayerNorm before the first block (CLIP)");
  table.add("patch-bias", options.patch_bias, "bias of the patch embedding");
  table.add("qk-norm", options.qk_norm, "LayerNorm on queries and keys");
  table.add("gelu", options.gelu,
            "GELU: tanh approximation (Flax), exact (PyTorch) or quick (CLIP)");
  table.add("norm-eps", options.norm_eps, "added to variances in LayerNorm", {.min = 0, .max = 1});
  table.add("drop", options.drop, "dropout rate", {.min = 0, .max = 1});
  table.add("attn-drop", options.attn_drop, "dropout rate of attention weights",
            {.min = 0, .max = 1});
  table.add("drop-path", options.drop_path, "stochastic depth rate of the last block",
            {.min = 0, .max = 0.999});
  table.add("layer-scale", options.layer_scale, "initial LayerScale; 0: none", {.min = 0});
  table.add("pre-logits", options.pre_logits, "width of a tanh layer before the head; 0: none",
            {.unit = "channels", .min = 0, .max = kMaxWidth});
  table.add("head-bias", options.head_bias, "initial value of the head's bias");
  table.add("moe-blocks", options.moe_blocks,
            "blocks with MoE layers: none, all, last_half, last_N, every_N or a list 1,3,5");
  describe(table, options.moe);
}

void validate(const VitOptions& options) {
  check_limits(options);
  const auto& size = options.img_size;
  if (size.empty() || size.size() > 2) {
    throw UsageError("img-size", "one or two numbers", std::to_string(size.size()));
  }
  for (const int64_t edge : size) {
    if (edge < options.patch_size || edge % options.patch_size != 0) {
      throw UsageError("img-size", "a multiple of patch-size " + std::to_string(options.patch_size),
                       std::to_string(edge));
    }
  }
  if (options.dim % options.heads != 0) {
    throw UsageError("dim", "a multiple of heads " + std::to_string(options.heads),
                     std::to_string(options.dim));
  }
  if (options.pos_embed == PositionEmbedding::kSinCos2d && options.dim % 4 != 0) {
    throw UsageError("dim", "a multiple of 4 with sincos2d positions", std::to_string(options.dim));
  }
  check_pool(options);
  if (options.mlp_layer == MlpLayer::kSwiGlu) {
    check_swiglu(options);
  }
  if (has_moe(options)) {
    check_moe(options);
  }
}

Activation mlp_activation(const VitOptions& options) {
  return options.mlp_layer == MlpLayer::kSwiGlu ? Activation::kSwiGlu : options.gelu;
}

bool has_moe(const VitOptions& options) {
  const auto mask = moe_block_mask(options.moe_blocks, options.depth);
  return std::find(mask.begin(), mask.end(), true) != mask.end();
}

bool has_mlp(const VitOptions& options, bool has_moe) { return !has_moe || options.moe.shared_mlp; }

MoeLayerOptions moe_layer_options(const VitOptions& options) {
  return {.dim = options.dim,
          .hidden_dim = options.moe.expert_dim > 0 ? options.moe.expert_dim : options.mlp_dim,
          .tokens = options.tokens(),
          .grid_height = options.grid_height(),
          .grid_width = options.grid_width(),
          .patch_pixels = options.in_chans * options.patch_size * options.patch_size,
          .activation = options.gelu,
          .dropout = options.moe.expert_drop > 0 ? options.moe.expert_drop : options.drop,
          .moe = options.moe};
}

}  // namespace softmoe
