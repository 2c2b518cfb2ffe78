#include "checkpoints/convert/guess_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "checkpoints/convert/block_names.h"
#include "checkpoints/convert/read_config.h"
#include "core/error.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

/// Heads of the usual widths: the zoo's, and SigLIP's.
constexpr std::array<std::pair<int64_t, int64_t>, 9> kUsualHeads{{{192, 3},
                                                                  {384, 6},
                                                                  {768, 12},
                                                                  {1024, 16},
                                                                  {1152, 16},
                                                                  {1280, 16},
                                                                  {1408, 16},
                                                                  {1536, 16},
                                                                  {1664, 16}}};

class Guess {
 public:
  Guess(const NamedTensors& weights, const Family& family, const ModelHints& hints,
        const std::string& where, std::vector<std::string>& choices)
      : weights_(weights),
        family_(family),
        hints_(hints),
        vision_(vision_config(hints.config)),
        where_(where),
        choices_(choices) {}

  VitOptions options() {
    sizes();
    prefix();
    head();
    blocks();
    heads();
    semantics();
    positions();
    check_order();
    return options_;
  }

 private:
  bool has(const std::string& name) const { return weights_.contains(name); }

  const torch::Tensor& tensor(const std::string& name, int64_t axes) const {
    const auto found = weights_.find(name);
    if (found == weights_.end()) {
      throw InputError(where_, "tensor " + described(name), "none");
    }
    if (found->second.dim() != axes) {
      throw InputError(where_ + ": " + described(name), fmt::format("{} axes", axes),
                       fmt::format("{}", found->second.dim()));
    }
    if (found->second.numel() == 0) {
      throw InputError(where_ + ": " + described(name), "values", "none");
    }
    return found->second;
  }

  /// Our name with the family's beside it.
  std::string described(const std::string& name) const {
    const auto theirs = their_name(family_.rows, name);
    return theirs.empty() || theirs == name ? name : theirs + " (" + name + ")";
  }

  void choose(const std::string& option, const std::string& value, const std::string& reason) {
    choices_.push_back(fmt::format("{} {} ({})", option, value, reason));
  }

  void sizes() {
    const auto& patches = tensor("patch_embed.proj.weight", 4);  // [dim, channels, patch, patch]
    if (patches.size(2) != patches.size(3)) {
      throw InputError(where_ + ": " + described("patch_embed.proj.weight"), "square patches",
                       fmt::format("{}x{}", patches.size(2), patches.size(3)));
    }
    options_.dim = patches.size(0);
    options_.in_chans = patches.size(1);
    options_.patch_size = patches.size(2);
    options_.patch_bias = has("patch_embed.proj.bias");
  }

  void prefix() {
    options_.class_token = has("cls_token");
    options_.dist_token = has("dist_token");
    options_.reg_tokens = has("reg_token") ? tensor("reg_token", 3).size(1) : 0;
    options_.pre_norm = has("norm_pre.weight");
  }

  void head() {
    options_.num_classes = has("head.weight") ? tensor("head.weight", 2).size(0) : 0;
    options_.pre_logits = has("pre_logits.weight") ? tensor("pre_logits.weight", 2).size(0) : 0;
    options_.final_norm = has("fc_norm.weight") ? FinalNorm::kPooled : FinalNorm::kTokens;
    if (has("attn_pool.latent")) {
      options_.global_pool = GlobalPool::kMap;
    } else if (options_.class_token && options_.final_norm == FinalNorm::kTokens) {
      options_.global_pool =
          pooled_width() == 2 * options_.dim ? GlobalPool::kTokenAvg : GlobalPool::kToken;
    } else {
      options_.global_pool = GlobalPool::kAvg;
    }
    options_.global_pool = config_pool(hints_.config, where_).value_or(options_.global_pool);
    pooled_prefix();
  }

  /// Whether class and register tokens are pooled too, which timm alone knows.
  void pooled_prefix() {
    const bool may =
        options_.global_pool == GlobalPool::kMap || options_.global_pool == GlobalPool::kAvg;
    if (family_.name != "timm" || !may || options_.prefix_tokens() == 0) {
      return;
    }
    const auto said = config_field<bool>(timm_arguments(hints_.config), "pool_include_prefix");
    const bool is_named = config_field<std::string>(hints_.config, "architecture") == "test_vit3";
    options_.pool_include_prefix = said.value_or(is_named);
    choose("pool-include-prefix", options_.pool_include_prefix ? "true" : "false",
           said       ? "config.json"
           : is_named ? "architecture test_vit3"
                      : "family timm");
  }

  /// Width of what comes of pooling, 0 where nothing reads it.
  int64_t pooled_width() const {
    for (const char* const reader : {"pre_logits.weight", "head.weight"}) {
      if (has(reader)) {
        return tensor(reader, 2).size(1);
      }
    }
    return 0;
  }

  void blocks() {
    std::vector<bool> mask;
    for (const auto& [name, tensor] : weights_) {
      const auto parameter = block_parameter(name);
      if (!parameter || parameter->block < 0 || parameter->block > kMaxBlocks) {
        continue;
      }
      mask.resize(std::max(mask.size(), static_cast<size_t>(parameter->block) + 1));
      mask[static_cast<size_t>(parameter->block)] =
          mask[static_cast<size_t>(parameter->block)] || parameter->rest.starts_with("moe.");
    }
    options_.depth = std::ssize(mask);
    if (mask.empty()) {
      throw InputError(where_, "blocks", "none");
    }
    options_.moe_blocks = moe_blocks_text(mask);
    options_.qk_norm = has("blocks.0.attn.q_norm.weight");
    // Trained values follow; the number only says that there is LayerScale.
    options_.layer_scale = has("blocks.0.ls1.gamma") ? 1e-5 : 0.0;
    const auto first_moe = std::find(mask.begin(), mask.end(), true);
    const auto first_dense = std::find(mask.begin(), mask.end(), false);
    if (first_moe != mask.end()) {
      experts(first_moe - mask.begin());
    }
    if (first_dense != mask.end()) {
      mlp(first_dense - mask.begin());
    }
  }

  void mlp(int64_t block) {
    const int64_t width = tensor(block_name(block, "mlp.fc1.weight"), 2).size(0);
    const bool gated = width == 2 * tensor(block_name(block, "mlp.fc2.weight"), 2).size(1);
    options_.mlp_dim = gated ? width / 2 : width;
    options_.mlp_layer = gated ? MlpLayer::kSwiGlu : MlpLayer::kMlp;
  }

  void experts(int64_t block) {
    const auto& fc1 = tensor(block_name(block, "moe.experts.fc1_weight"), 3);
    options_.moe.experts = fc1.size(0);  // [experts, hidden, dim]
    options_.mlp_dim = fc1.size(1);
    if (has(block_name(block, "moe.router.phi"))) {
      options_.moe.router = "soft";
      options_.moe.slots_per_expert =
          tensor(block_name(block, "moe.router.phi"), 3).size(2);  // [dim, experts, slots]
    } else {
      options_.moe.router = "tokens_choice";
      choose("router", options_.moe.router, "weights do not tell sparse routers apart");
    }
  }

  void heads() {
    if (has("blocks.0.attn.q_norm.weight")) {
      options_.heads = options_.dim / tensor("blocks.0.attn.q_norm.weight", 1).size(0);
    } else if (hints_.heads > 0) {
      options_.heads = hints_.heads;
    } else {
      const auto configured = config_heads(hints_.config, options_.dim, where_);
      options_.heads = configured ? *configured : usual_heads();
    }
  }

  int64_t usual_heads() {
    int64_t heads = std::max<int64_t>(1, options_.dim / 64);
    // DINOv2's giants have the width of SigLIP's, but the heads of the rule.
    if (options_.mlp_layer == MlpLayer::kMlp) {
      for (const auto& [dim, usual] : kUsualHeads) {
        heads = dim == options_.dim ? usual : heads;
      }
    }
    choose("heads", std::to_string(heads), fmt::format("usual at dim {}", options_.dim));
    return heads;
  }

  void semantics() {
    options_.gelu = family_.gelu;
    if (options_.mlp_layer == MlpLayer::kMlp) {
      const auto activation = config_gelu(hints_.config, where_);
      options_.gelu = activation ? activation->gelu : family_.gelu;
      choose("gelu", enum_name(options_.gelu),
             activation ? activation->reason : fmt::format("family {}", family_.name));
    }
    // timm's models of CLIP have PyTorch's own eps.
    const bool is_clip = is_timm_clip(hints_.config, family_, options_);
    const auto eps = config_eps(hints_.config, where_);
    options_.norm_eps = eps.value_or((is_clip ? find_family("hf_clip") : family_).norm_eps);
    choose("norm-eps", fmt::format("{:g}", options_.norm_eps),
           eps ? "config.json" : fmt::format("family {}", family_.name));
  }

  void positions() {
    const auto given = hints_.img_size.empty() ? config_image_size(hints_.config, where_)
                                               : std::optional(hints_.img_size);
    options_.img_size = given.value_or(std::vector<int64_t>{224});
    if (!has("pos_embed") && family_.fixed_positions) {
      options_.pos_embed = PositionEmbedding::kSinCos2d;
      choose("pos-embed", "sincos2d", "no learned positions in the file");
      if (!given) {
        const int64_t edge = std::max<int64_t>(1, 224 / options_.patch_size);
        options_.img_size = {edge * options_.patch_size};
        choose("img-size", std::to_string(options_.img_size.front()), "nothing tells it");
      }
      return;
    }
    const int64_t entries = tensor("pos_embed", 3).size(1);
    const int64_t prefix = options_.prefix_tokens();
    if (!hints_.img_size.empty() && !fits(entries)) {
      throw UsageError(
          where_ + ": --from-img-size",
          fmt::format("a multiple of {} px, or two, whose patches make {} of the {} positions",
                      options_.patch_size,
                      prefix == 0 ? "all" : fmt::format("all or all but {}", prefix), entries),
          fmt::format("{}", fmt::join(hints_.img_size, " ")));
    }
    if (given && fits(entries)) {
      options_.pos_embed_prefix = entries != options_.patches();
    } else if (const auto edge = square_root(entries - prefix), whole = square_root(entries);
               edge || whole) {
      // Where both could be, the family's own code decides.
      options_.pos_embed_prefix = edge && (!whole || family_.prefix_positions);
      set_grid(options_.pos_embed_prefix ? *edge : *whole);
    } else {
      throw InputError(where_ + ": " + described("pos_embed"),
                       "positions of a square grid, or --from-img-size",
                       fmt::format("{} positions with {} prefix tokens", entries, prefix));
    }
    if (prefix == 0) {
      options_.pos_embed_prefix = true;
    } else {
      choose("pos-embed-prefix", options_.pos_embed_prefix ? "true" : "false",
             fmt::format("{} positions, {} patches", entries, options_.patches()));
    }
  }

  /// timm's models that norm what attention and MLP give have the tensors of those that norm what
  /// they get.
  void check_order() {
    if (!hints_.has_qkv_bias) {
      choose("qkv-bias", "0", "the file has none");
    }
    const auto name = config_field<std::string>(hints_.config, "architecture").value_or("");
    const bool could_be = name.empty() && !hints_.has_qkv_bias && options_.prefix_tokens() == 0 &&
                          options_.layer_scale == 0;
    if (family_.name == "timm" && (could_be || name.find("_rpn_") != std::string::npos)) {
      throw InputError(
          where_, "a model with norms before attention and MLP",
          name.empty() ? "tensors that timm's vit_*_rpn_* have too, and no config.json" : name);
    }
  }

  /// Whether the image size that is known goes with the table of positions.
  bool fits(int64_t entries) const {
    const auto& size = options_.img_size;
    if (size.empty() || size.size() > 2 || size.front() < 1 || size.back() < 1 ||
        size.front() % options_.patch_size != 0 || size.back() % options_.patch_size != 0) {
      return false;
    }
    return entries == options_.patches() ||
           entries == options_.patches() + options_.prefix_tokens();
  }

  static std::optional<int64_t> square_root(int64_t count) {
    const auto root = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(count))));
    return count > 0 && root * root == count ? std::optional(root) : std::nullopt;
  }

  void set_grid(int64_t edge) { options_.img_size = {edge * options_.patch_size}; }

  const NamedTensors& weights_;
  const Family& family_;
  const ModelHints& hints_;
  Json vision_;
  const std::string& where_;
  std::vector<std::string>& choices_;
  VitOptions options_;
};

}  // namespace

VitOptions guess_options(const NamedTensors& weights, const Family& family, const ModelHints& hints,
                         const std::string& where, std::vector<std::string>& choices) {
  return Guess(weights, family, hints, where, choices).options();
}

}  // namespace softmoe
