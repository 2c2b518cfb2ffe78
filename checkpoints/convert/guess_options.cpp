#include "checkpoints/convert/guess_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "checkpoints/convert/foreign_weights.h"
#include "checkpoints/convert/guess_positions.h"
#include "checkpoints/convert/read_config.h"
#include "checkpoints/convert/vmoe_routers.h"
#include "checkpoints/parameter_names.h"
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

/// Reads options off weights, each step on those before it.
class OptionsGuess {
 public:
  OptionsGuess(const ForeignWeights& weights, const ModelHints& hints, ReadingNotes& notes)
      : weights_(weights),
        family_(weights.family()),
        hints_(hints),
        config_(hints.configs.config),
        notes_(notes) {}

  VitOptions options() {
    guess_sizes();
    guess_prefix();
    guess_head();
    guess_blocks();
    guess_heads();
    guess_semantics();
    guess_positions(weights_, config_, hints_.img_size, options_, notes_);
    check_order_of_norms();
    return options_;
  }

 private:
  bool has(const std::string& name) const { return weights_.has(name); }
  const torch::Tensor& tensor(const std::string& name, int64_t axes) const {
    return weights_.tensor(name, axes);
  }

  /// Notes an option that comes from `source` if that is not empty, else from the family.
  void note(const std::string& option, const std::string& value, const std::string& source) {
    if (source.empty()) {
      notes_.assume(option, value, of_family());
    } else {
      notes_.choose(option, value, source);
    }
  }

  std::string of_family() const { return fmt::format("family {}", family_.name); }

  void guess_sizes() {
    const auto& patches = tensor("patch_embed.proj.weight", 4);  // [dim, channels, patch, patch]
    if (patches.size(2) != patches.size(3)) {
      throw InputError(weights_.place("patch_embed.proj.weight"), "square patches",
                       fmt::format("{}x{}", patches.size(2), patches.size(3)));
    }
    options_.dim = patches.size(0);
    options_.in_chans = patches.size(1);
    options_.patch_size = patches.size(2);
    options_.patch_bias = has("patch_embed.proj.bias");
  }

  void guess_prefix() {
    options_.class_token = has("cls_token");
    options_.dist_token = has("dist_token");
    options_.reg_tokens = has("reg_token") ? tensor("reg_token", 3).size(1) : 0;
    options_.pre_norm = has("norm_pre.weight");
  }

  void guess_head() {
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
    const auto configured = config_pool(config_, weights_.where());
    options_.global_pool = configured.value_or(options_.global_pool);
    // A norm before pooling fits the class token and the mean of all tokens.
    if (!configured && !family_.code.pooling.only && options_.global_pool == GlobalPool::kToken) {
      notes_.assume("global-pool", enum_name(options_.global_pool), of_family());
    }
    guess_pooled_prefix();
  }

  /// Sets whether class and register tokens are pooled too.
  void guess_pooled_prefix() {
    const bool may =
        options_.global_pool == GlobalPool::kMap || options_.global_pool == GlobalPool::kAvg;
    if (!family_.code.pools_prefix || !may || options_.prefix_tokens() == 0) {
      return;
    }
    const std::string exception = "test_vit3";
    const auto given = config_field<bool>(timm_arguments(config_), "pool_include_prefix");
    const bool is_exception = config_architecture(config_) == exception;
    options_.pool_include_prefix = given.value_or(is_exception);
    note("pool-include-prefix", options_.pool_include_prefix ? "true" : "false",
         given          ? "config.json"
         : is_exception ? "architecture " + exception
                        : "");
  }

  /// The width of what pooling gives; 0 if nothing reads it.
  int64_t pooled_width() const {
    for (const char* const reader : {"pre_logits.weight", "head.weight"}) {
      if (has(reader)) {
        return tensor(reader, 2).size(1);
      }
    }
    return 0;
  }

  void guess_blocks() {
    std::vector<bool> mask;
    for (const auto& [name, tensor] : weights_.tensors()) {
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
      throw InputError(weights_.where(), "blocks", "none");
    }
    check_config_sizes(config_, options_, weights_.where());
    options_.moe_blocks = moe_blocks_text(mask);
    options_.qk_norm = has("blocks.0.attn.q_norm.weight");
    // Trained values follow; the number only says that there is LayerScale.
    options_.layer_scale = has("blocks.0.ls1.gamma") ? 1e-5 : 0.0;
    const auto first_moe = std::find(mask.begin(), mask.end(), true);
    const auto first_dense = std::find(mask.begin(), mask.end(), false);
    if (first_moe != mask.end()) {
      guess_experts(first_moe - mask.begin());
    }
    if (first_dense != mask.end()) {
      guess_mlp(first_dense - mask.begin());
    }
    check_mlp_width(config_, options_, weights_.where());
  }

  void guess_mlp(int64_t block) {
    const int64_t width = tensor(block_name(block, "mlp.fc1.weight"), 2).size(0);
    const bool gated = width == 2 * tensor(block_name(block, "mlp.fc2.weight"), 2).size(1);
    options_.mlp_dim = gated ? width / 2 : width;
    options_.mlp_layer = gated ? MlpLayer::kSwiGlu : MlpLayer::kMlp;
  }

  void guess_experts(int64_t block) {
    const auto& fc1 = tensor(block_name(block, "moe.experts.fc1_weight"), 3);
    const auto phi = block_name(block, "moe.router.phi");
    options_.moe.experts = fc1.size(0);  // [experts, hidden, dim]
    options_.mlp_dim = fc1.size(1);
    options_.moe.router = recognized_router(has(phi) ? RoutingKind::kSoft : RoutingKind::kSparse);
    if (has(phi)) {
      options_.moe.slots_per_expert = tensor(phi, 3).size(2);  // [dim, experts, slots]
    } else {
      notes_.assume("router", options_.moe.router, "weights do not tell sparse routers apart");
    }
    assume_routing();
  }

  /// Notes the options on which the outputs of the router depend, and which have no weights.
  void assume_routing() {
    const auto values = options_to_json(options_.moe);
    for (const auto option : router_row(options_.moe.router).options) {
      const std::string name(option);
      const auto ours = options_of_ours();
      if (std::find(ours.begin(), ours.end(), name) != ours.end()) {
        continue;
      }
      if (name != "slots-per-expert" && (name != "capacity-factor" || !is_told_by_slots())) {
        const auto& value = values.at(name);
        notes_.assume(name, value.is_string() ? value.get<std::string>() : json_text(value),
                      "routing is not in the weights");
      }
    }
  }

  bool is_told_by_slots() const { return options_.moe.slots_per_expert > 0; }

  void guess_heads() {
    if (has("blocks.0.attn.q_norm.weight")) {
      options_.heads = options_.dim / tensor("blocks.0.attn.q_norm.weight", 1).size(0);
    } else if (hints_.heads > 0) {
      options_.heads = hints_.heads;
    } else {
      const auto configured = config_heads(config_, options_.dim, weights_.where());
      options_.heads = configured ? *configured : usual_heads();
    }
  }

  int64_t usual_heads() {
    int64_t heads = std::max<int64_t>(1, options_.dim / 64);
    // DINOv2's giants have the width of SigLIP's, but one head per 64 channels.
    if (options_.mlp_layer == MlpLayer::kMlp) {
      for (const auto& [dim, usual] : kUsualHeads) {
        heads = dim == options_.dim ? usual : heads;
      }
    }
    notes_.assume("heads", std::to_string(heads), fmt::format("usual at dim {}", options_.dim));
    return heads;
  }

  void guess_semantics() {
    options_.gelu = family_.code.gelu;
    if (options_.mlp_layer == MlpLayer::kMlp) {
      const auto activation = config_gelu(config_, weights_.where());
      options_.gelu = activation ? activation->gelu : family_.code.gelu;
      note("gelu", enum_name(options_.gelu), activation ? activation->reason : "");
    }
    const auto* const variant = find_variant(family_, options_, config_architecture(config_));
    const auto eps = config_eps(config_, weights_.where());
    options_.norm_eps =
        eps.value_or(variant != nullptr ? variant->norm_eps : family_.code.norm_eps);
    note("norm-eps", fmt::format("{:g}", options_.norm_eps), eps ? "config.json" : "");
  }

  /// Throws if attention and MLP may have norms after them instead of before: some families have
  /// models of both kinds, with the same tensors.
  void check_order_of_norms() {
    if (!hints_.has_qkv_bias) {
      notes_.choose("qkv-bias", "0", "the file has none");
    }
    const auto name = config_architecture(config_).value_or("");
    const bool could_be = name.empty() && !hints_.has_qkv_bias && options_.prefix_tokens() == 0 &&
                          options_.layer_scale == 0;
    if (family_.code.norms_after_branches &&
        (could_be || name.find("_rpn_") != std::string::npos)) {
      throw InputError(
          weights_.where(), "a model with norms before attention and MLP",
          name.empty() ? "tensors that timm's vit_*_rpn_* have too, and no config.json" : name);
    }
  }

  const ForeignWeights& weights_;
  const Family& family_;
  const ModelHints& hints_;
  const Json& config_;
  ReadingNotes& notes_;
  VitOptions options_;
};

}  // namespace

VitOptions guess_options(const NamedTensors& weights, const Family& family, const ModelHints& hints,
                         const std::string& where, ReadingNotes& notes) {
  return OptionsGuess(ForeignWeights(weights, family, where), hints, notes).options();
}

}  // namespace softmoe
