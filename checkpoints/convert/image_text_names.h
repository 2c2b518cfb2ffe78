#pragma once
/// Names of models of images and texts: those of everything but the image tower.

#include <span>

#include "checkpoints/convert/name_map.h"

namespace softmoe {

/// Hugging Face's CLIP and SigLIP.
std::span<const NameRow> hf_clip_text_names();
std::span<const NameRow> hf_siglip_text_names();
/// open_clip's CLIP, whose text tower stands at the root, and its models with a text tower of their
/// own, as its SigLIP.
std::span<const NameRow> open_clip_text_names();
std::span<const NameRow> open_clip_custom_text_names();

/// The image tower of open_clip, after `visual.`.
std::span<const NameRow> open_clip_tower_names();

}  // namespace softmoe
