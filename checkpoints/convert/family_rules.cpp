#include "checkpoints/convert/family_rules.h"

namespace softmoe {
namespace {

/// The body that ViT, DeiT and DINOv2 have in common.
bool has_hf_body(const VitOptions& options) {
  return options.class_token && !options.dist_token && !options.pre_norm;
}

}  // namespace

bool writes_hf_vit(const VitOptions& options) {
  return has_hf_body(options) && options.layer_scale == 0 && options.reg_tokens != 1;
}

bool writes_hf_deit(const VitOptions& options) {
  return has_hf_body(options) && options.layer_scale == 0 && options.reg_tokens == 1;
}

bool writes_hf_deit_distilled(const VitOptions& options) { return options.dist_token; }

bool writes_hf_dinov2(const VitOptions& options) {
  return has_hf_body(options) && options.layer_scale > 0 && has_plain_mlp(options);
}

bool writes_hf_dinov2_swiglu(const VitOptions& options) {
  return has_hf_body(options) && options.layer_scale > 0 && has_swiglu(options);
}

bool writes_hf_clip(const VitOptions& options) { return options.pre_norm && !options.dist_token; }

bool writes_hf_siglip(const VitOptions& options) {
  return !options.class_token && !options.dist_token && !options.pre_norm;
}

bool has_plain_mlp(const VitOptions& options) { return options.mlp_layer == MlpLayer::kMlp; }

bool has_swiglu(const VitOptions& options) { return options.mlp_layer == MlpLayer::kSwiGlu; }

std::optional<GlobalPool> pools_by_token(const VitOptions& /*options*/) {
  return GlobalPool::kToken;
}

std::optional<GlobalPool> pools_by_token_if_present(const VitOptions& options) {
  return options.class_token ? std::optional(GlobalPool::kToken) : std::nullopt;
}

std::optional<GlobalPool> pools_as_hf_dinov2(const VitOptions& options) {
  return options.num_classes > 0 ? GlobalPool::kTokenAvg : GlobalPool::kToken;
}

std::optional<GlobalPool> pools_as_hf_siglip(const VitOptions& options) {
  return options.num_classes > 0 ? std::optional(GlobalPool::kAvg) : std::nullopt;
}

std::string_view hf_vit_prefix(const VitOptions& options) {
  return options.num_classes > 0 ? "vit." : "";
}

std::string_view hf_deit_prefix(const VitOptions& options) {
  return options.num_classes > 0 ? "deit." : "";
}

std::string_view hf_dinov2_prefix(const VitOptions& options) {
  if (options.num_classes == 0) {
    return "";
  }
  return options.reg_tokens > 0 ? "dinov2_with_registers." : "dinov2.";
}

std::string_view hf_tower_prefix(const VitOptions& /*options*/) { return "vision_model."; }

bool is_timm_clip(const VitOptions& options, const std::optional<std::string>& architecture) {
  return options.pre_norm && (!architecture || architecture->find("clip") != std::string::npos);
}

bool is_timm_imagenet(const VitOptions& options,
                      const std::optional<std::string>& /*architecture*/) {
  return options.dist_token || options.layer_scale > 0;
}

}  // namespace softmoe
