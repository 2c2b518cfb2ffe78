#pragma once
/// What rows of families say of models by their options: which row writes them, how they pool, what
/// precedes the names of their tensors.

#include <optional>
#include <string>
#include <string_view>

#include "vit/options.h"

namespace softmoe {

/// PyTorch's own eps of LayerNorm, which CLIP has.
inline constexpr double kClipNormEps = 1e-5;

/// Which row of Hugging Face's families writes a model; for each model exactly one is true.
bool writes_hf_vit(const VitOptions& options);
bool writes_hf_deit(const VitOptions& options);
bool writes_hf_deit_distilled(const VitOptions& options);
bool writes_hf_dinov2(const VitOptions& options);
bool writes_hf_dinov2_swiglu(const VitOptions& options);
bool writes_hf_clip(const VitOptions& options);
bool writes_hf_siglip(const VitOptions& options);

/// Which row of facebookresearch/dinov2 writes a model.
bool has_plain_mlp(const VitOptions& options);
bool has_swiglu(const VitOptions& options);

/// Always the class token.
std::optional<GlobalPool> pools_by_token(const VitOptions& options);
/// The class token if there is one, else whatever the model has.
std::optional<GlobalPool> pools_by_token_if_present(const VitOptions& options);
/// The class token, which a head reads beside the mean of the patches.
std::optional<GlobalPool> pools_as_hf_dinov2(const VitOptions& options);
/// The mean for a head, else whatever the model has.
std::optional<GlobalPool> pools_as_hf_siglip(const VitOptions& options);

/// What precedes the names of a body; without a head there is nothing but in towers.
std::string_view hf_vit_prefix(const VitOptions& options);
std::string_view hf_deit_prefix(const VitOptions& options);
std::string_view hf_dinov2_prefix(const VitOptions& options);
std::string_view hf_tower_prefix(const VitOptions& options);

/// timm's models with a norm before their blocks are CLIPs, unless their name says otherwise.
bool is_timm_clip(const VitOptions& options, const std::optional<std::string>& architecture);
/// timm's models of DeiT, DINOv2 and others that were trained on pixels normalised as ImageNet's.
bool is_timm_imagenet(const VitOptions& options, const std::optional<std::string>& architecture);

}  // namespace softmoe
