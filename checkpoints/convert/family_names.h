#pragma once
/// The names of each family of checkpoints, as tables.

#include <algorithm>
#include <array>
#include <span>

#include "checkpoints/convert/name_map.h"

namespace softmoe {

/// Shares of joined projections.
inline constexpr AxisShare kAllRows{0, 1, 1};
inline constexpr AxisShare kQueryRows{0, 1, 3};
inline constexpr AxisShare kKeyRows{1, 1, 3};
inline constexpr AxisShare kValueRows{2, 1, 3};
inline constexpr AxisShare kKeyAndValueRows{1, 2, 3};
inline constexpr AxisShare kFirstHalfRows{0, 1, 2};
inline constexpr AxisShare kSecondHalfRows{1, 1, 2};

/// The rows of several tables, one after the other.
template <size_t... kRows>
constexpr auto joined(const std::array<NameRow, kRows>&... parts) {
  std::array<NameRow, (kRows + ...)> rows{};
  auto end = rows.begin();
  ((end = std::copy(parts.begin(), parts.end(), end)), ...);
  return rows;
}

/// timm's vision transformers: our names, but for what timm does not have.
std::span<const NameRow> timm_names();

/// facebookresearch/dinov2: with or without registers, with GELU or SwiGLU.
std::span<const NameRow> dinov2_names();
std::span<const NameRow> dinov2_swiglu_names();

/// Hugging Face transformers: ViT; DeiT, whose unread distillation token is a register to us; DeiT
/// with both heads; DINOv2 with or without registers, with GELU or SwiGLU; the vision towers of
/// SigLIP and CLIP.
std::span<const NameRow> hf_vit_names();
std::span<const NameRow> hf_deit_names();
std::span<const NameRow> hf_deit_distilled_names();
std::span<const NameRow> hf_dinov2_names();
std::span<const NameRow> hf_dinov2_swiglu_names();
std::span<const NameRow> hf_siglip_names();
std::span<const NameRow> hf_clip_names();
/// What transformers from version 5 on calls parameters in memory, to what it calls them in files:
/// state dicts that were saved by torch.save have the former.
std::span<const NameRow> hf_in_memory_names();

/// Flax, parts of names joined with '/': big_vision, vision_transformer and vmoe.
std::span<const NameRow> big_vision_names();
std::span<const NameRow> vision_transformer_names();
std::span<const NameRow> vmoe_names();

}  // namespace softmoe
