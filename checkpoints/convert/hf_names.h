#pragma once
/// Names of Hugging Face's transformers.

#include <span>

#include "checkpoints/convert/name_map.h"

namespace softmoe {

std::span<const NameRow> hf_vit_names();
/// DeiT that reads its class token alone: its distillation token is a register here.
std::span<const NameRow> hf_deit_names();
/// DeiT with the heads of both tokens.
std::span<const NameRow> hf_deit_distilled_names();
/// DINOv2, with or without registers, with GELU.
std::span<const NameRow> hf_dinov2_names();
/// DINOv2, with or without registers, with SwiGLU.
std::span<const NameRow> hf_dinov2_swiglu_names();
/// The vision tower of SigLIP.
std::span<const NameRow> hf_siglip_names();
/// The vision tower of CLIP.
std::span<const NameRow> hf_clip_names();

/// Names of parameters in memory from version 5 of transformers on, to their names in files. State
/// dicts that were saved by torch.save have the former.
std::span<const NameRow> hf_in_memory_names();

}  // namespace softmoe
