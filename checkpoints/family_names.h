#pragma once
/// The names of each family of checkpoints, as tables.

#include <span>

#include "checkpoints/name_map.h"

namespace softmoe {

/// Shares of joined projections.
inline constexpr AxisShare kWhole{0, 1, 1};
inline constexpr AxisShare kQuery{0, 1, 3};
inline constexpr AxisShare kKey{1, 1, 3};
inline constexpr AxisShare kValue{2, 1, 3};
inline constexpr AxisShare kKeyAndValue{1, 2, 3};
inline constexpr AxisShare kFirstHalf{0, 1, 2};
inline constexpr AxisShare kSecondHalf{1, 1, 2};

/// timm's vision transformers: our names, but for what timm does not have.
std::span<const NameRow> timm_names();

/// Hugging Face transformers: ViT; DeiT, whose unread distillation token is a register to us; DeiT
/// with both heads; DINOv2 with or without registers; the vision towers of SigLIP and CLIP.
std::span<const NameRow> hf_vit_names();
std::span<const NameRow> hf_deit_names();
std::span<const NameRow> hf_deit_distilled_names();
std::span<const NameRow> hf_dinov2_names();
std::span<const NameRow> hf_siglip_names();
std::span<const NameRow> hf_clip_names();

/// Flax, parts of names joined with '/': big_vision, vision_transformer and vmoe.
std::span<const NameRow> big_vision_names();
std::span<const NameRow> vision_transformer_names();
std::span<const NameRow> vmoe_names();

}  // namespace softmoe
