#pragma once
/// The options of a vision transformer. A model name is a preset of these.

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"
#include "softmoe/moe_options.h"

namespace softmoe {

/// How the tokens become one vector for the head.
enum class GlobalPool {
  kAvg,       ///< mean of the patch tokens
  kToken,     ///< the class token
  kMap,       ///< multi-head attention pooling by one learned query (Zhai et al., arXiv:2106.04560)
  kTokenAvg,  ///< the class token and the mean of the patch tokens, side by side: what the linear
              ///< head of DINOv2 reads (Oquab et al., arXiv:2304.07193)
};
template <>
inline constexpr std::array<EnumName<GlobalPool>, 4> kEnumNames<GlobalPool>{
    {{GlobalPool::kAvg, "avg"},
     {GlobalPool::kToken, "token"},
     {GlobalPool::kMap, "map"},
     {GlobalPool::kTokenAvg, "token_avg"}}};

/// The MLP of dense blocks. Experts and the attention pool have kMlp.
enum class MlpLayer {
  kMlp,     ///< with the GELU that `gelu` names
  kSwiGlu,  ///< with Activation::kSwiGlu
};
template <>
inline constexpr std::array<EnumName<MlpLayer>, 2> kEnumNames<MlpLayer>{
    {{MlpLayer::kMlp, "mlp"}, {MlpLayer::kSwiGlu, "swiglu"}}};

/// The place of the final LayerNorm: on the tokens (big_vision, vmoe) or after pooling (timm's
/// fc_norm).
enum class FinalNorm { kTokens, kPooled };
template <>
inline constexpr std::array<EnumName<FinalNorm>, 2> kEnumNames<FinalNorm>{
    {{FinalNorm::kTokens, "tokens"}, {FinalNorm::kPooled, "pooled"}}};

/// The position embedding.
enum class PositionEmbedding {
  kLearned,
  kSinCos2d,  ///< fixed 2-D sines and cosines (Beyer et al., arXiv:2205.01580)
};
template <>
inline constexpr std::array<EnumName<PositionEmbedding>, 2> kEnumNames<PositionEmbedding>{
    {{PositionEmbedding::kLearned, "learned"}, {PositionEmbedding::kSinCos2d, "sincos2d"}}};

/// Everything that defines a model but its weights. The defaults are ViT-B/16 as in the Soft MoE
/// paper: mean pooling, no class token, learned position embedding.
struct VitOptions {
  std::vector<int64_t> img_size{224};  ///< height and width in pixels, or one number for both
  int64_t patch_size = 16;
  int64_t in_chans = 3;
  int64_t num_classes = 1000;  ///< 0: no head, the output is the pooled features
  int64_t dim = 768;
  int64_t depth = 12;
  int64_t heads = 12;
  int64_t mlp_dim = 3072;  ///< inputs of fc2
  MlpLayer mlp_layer = MlpLayer::kMlp;
  GlobalPool global_pool = GlobalPool::kAvg;
  bool pool_include_prefix = false;  ///< avg and map pool the prefix tokens too
  FinalNorm final_norm = FinalNorm::kTokens;
  bool class_token = false;
  bool dist_token = false;  ///< a second class token with a head of its own (DeiT); the logits are
                            ///< the mean of both heads
  int64_t reg_tokens = 0;   ///< learned tokens that nothing reads (Darcet et al., arXiv:2309.16588)
  PositionEmbedding pos_embed = PositionEmbedding::kLearned;
  bool pos_embed_prefix = true;  ///< positions for the prefix tokens too
  bool pre_norm = false;         ///< LayerNorm before the first block (CLIP)
  bool patch_bias = true;        ///< bias of the patch embedding
  bool qk_norm = false;
  Activation gelu = Activation::kGeluTanh;
  double norm_eps = 1e-6;
  double drop = 0.0;
  double attn_drop = 0.0;
  double drop_path = 0.0;    ///< of the last block; grows linearly from 0 at the first
  double layer_scale = 0.0;  ///< initial value; 0: no LayerScale
  int64_t pre_logits = 0;    ///< width of a tanh layer before the head; 0: none
  double head_bias = 0.0;    ///< initial value of the head's bias
  std::string moe_blocks = "none";
  MoeOptions moe;

  bool operator==(const VitOptions&) const = default;

  int64_t image_height() const { return img_size.front(); }
  int64_t image_width() const { return img_size.back(); }
  int64_t grid_height() const { return image_height() / patch_size; }
  int64_t grid_width() const { return image_width() / patch_size; }
  int64_t patches() const { return grid_height() * grid_width(); }
  /// Learned tokens before the patches: class, distillation, registers, in this order.
  int64_t prefix_tokens() const {
    return (class_token ? 1 : 0) + (dist_token ? 1 : 0) + reg_tokens;
  }
  /// Tokens in the blocks.
  int64_t tokens() const { return prefix_tokens() + patches(); }
  /// The first token that avg and map pool; all after it belong too.
  int64_t first_pooled_token() const { return pool_include_prefix ? 0 : prefix_tokens(); }
  /// How many these are.
  int64_t pooled_tokens() const { return tokens() - first_pooled_token(); }
  /// Prefix tokens that have an entry in the position embedding.
  int64_t prefix_positions() const { return pos_embed_prefix ? prefix_tokens() : 0; }
  /// Width of what pooling makes of one image for one head.
  int64_t pooled_dim() const { return global_pool == GlobalPool::kTokenAvg ? 2 * dim : dim; }
  /// Width of what one head gets.
  int64_t head_inputs() const { return pre_logits > 0 ? pre_logits : pooled_dim(); }
  /// Width of the features: those of the class token before those of a distillation token.
  int64_t feature_dim() const { return dist_token ? 2 * head_inputs() : head_inputs(); }
};

/// The maximum of the blocks of a model.
inline constexpr int64_t kMaxBlocks = 1'024;

void describe(OptionTable& table, VitOptions& options);

/// Throws UsageError that names the option if the options contradict each other.
void validate(const VitOptions& options);

/// The activation of the MLPs of dense blocks.
Activation mlp_activation(const VitOptions& options);

/// Returns true if any block has a MoE layer.
bool has_moe(const VitOptions& options);

/// Returns true if a block that has a MoE layer, or none, has an MLP.
bool has_mlp(const VitOptions& options, bool has_moe);

/// The MoE layer of one block of the model.
MoeLayerOptions moe_layer_options(const VitOptions& options);

}  // namespace softmoe
