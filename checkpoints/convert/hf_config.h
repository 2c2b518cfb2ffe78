#pragma once
/// The config.json of Hugging Face's models. Each function writes that of one kind of model.

#include "checkpoints/model_description.h"

namespace softmoe {

/// Sizes and semantics by the names that all of Hugging Face's vision transformers have.
Json hf_tower_config(const VitOptions& options);

Json hf_vit_config(const ModelDescription& description);
Json hf_deit_config(const ModelDescription& description);
Json hf_deit_distilled_config(const ModelDescription& description);
/// With or without registers.
Json hf_dinov2_config(const ModelDescription& description);
Json hf_clip_config(const ModelDescription& description);
Json hf_siglip_config(const ModelDescription& description);

}  // namespace softmoe
