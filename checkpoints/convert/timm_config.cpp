#include "checkpoints/convert/timm_config.h"

#include "checkpoints/convert/exact_ratio.h"
#include "checkpoints/convert/family_rules.h"
#include "checkpoints/convert/preprocessor.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

/// The architecture that has what model_args cannot say: a second head, CLIP's eps, SwiGLU.
std::string architecture_of(const ModelDescription& description) {
  const auto& options = description.options;
  if (options.dist_token) {
    return "deit_base_distilled_patch16_224";
  }
  if (options.pre_norm) {
    return options.norm_eps == kClipNormEps ? "vit_base_patch16_clip_224" : "vit_base_patch16_224";
  }
  if (options.mlp_layer == MlpLayer::kSwiGlu) {
    return "vit_giant_patch14_dinov2";
  }
  const auto alias = timm_alias(description.name);
  return alias.empty() ? "vit_base_patch16_224" : alias;
}

Json model_arguments(const VitOptions& options) {
  const bool gated = options.mlp_layer == MlpLayer::kSwiGlu;
  Json arguments{
      {"img_size", {options.image_height(), options.image_width()}},
      {"patch_size", options.patch_size},
      {"embed_dim", options.dim},
      {"depth", options.depth},
      {"num_heads", options.heads},
      {"mlp_ratio", exact_ratio(gated ? 2 * options.mlp_dim : options.mlp_dim, options.dim)},
      {"global_pool", enum_name(options.global_pool)},
      {"qk_norm", options.qk_norm},
      {"class_token", options.class_token},
      {"no_embed_class", !options.pos_embed_prefix},
      {"reg_tokens", options.reg_tokens},
      {"pre_norm", options.pre_norm},
      {"fc_norm", options.final_norm == FinalNorm::kPooled}};
  if (options.pool_include_prefix) {
    arguments["pool_include_prefix"] = true;
  }
  if (options.layer_scale > 0) {
    arguments["init_values"] = options.layer_scale;
  }
  if (!gated && options.gelu != Activation::kGeluExact) {
    arguments["act_layer"] = options.gelu == Activation::kGeluTanh ? "gelu_tanh" : "quick_gelu";
  }
  return arguments;
}

Json pretrained_config(const ModelDescription& description) {
  const auto& options = description.options;
  const auto preprocess = description.preprocess.value_or(default_preprocess(options));
  const bool squeezes = preprocess.evaluation_crop() == CropMode::kNone;
  Json config{{"input_size", input_size(options)},
              {"interpolation", enum_name(preprocess.interpolation)},
              {"crop_pct", preprocess.crop_pct},
              {"crop_mode", squeezes ? "squash" : "center"},
              {"mean", per_channel(preprocess.mean, options.in_chans)},
              {"std", per_channel(preprocess.std, options.in_chans)},
              {"num_classes", options.num_classes},
              {"first_conv", "patch_embed.proj"},
              {"classifier", "head"}};
  if (options.dist_token) {
    config["classifier"] = {"head", "head_dist"};
  }
  return config;
}

}  // namespace

Json timm_config(const ModelDescription& description) {
  const auto& options = description.options;
  Json config{{"architecture", architecture_of(description)},
              {"num_classes", options.num_classes},
              {"num_features", options.dim},
              {"global_pool", enum_name(options.global_pool)},
              {"model_args", model_arguments(options)},
              {"pretrained_cfg", pretrained_config(description)}};
  if (!description.class_names.empty()) {
    config["label_names"] = description.class_names;
  }
  return config;
}

}  // namespace softmoe
