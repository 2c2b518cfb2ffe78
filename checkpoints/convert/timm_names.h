#pragma once
/// Names of timm's vision transformers and of facebookresearch/dinov2.

#include <span>

#include "checkpoints/convert/name_map.h"

namespace softmoe {

/// timm: our names, without those of what timm does not have.
std::span<const NameRow> timm_names();

/// facebookresearch/dinov2, with or without registers, with GELU.
std::span<const NameRow> dinov2_names();
/// facebookresearch/dinov2, with or without registers, with SwiGLU.
std::span<const NameRow> dinov2_swiglu_names();

}  // namespace softmoe
