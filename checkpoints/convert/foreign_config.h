#pragma once
/// The config files that Hugging Face and timm put beside weights.

#include "checkpoints/convert/families.h"
#include "checkpoints/model_checkpoint.h"

namespace softmoe {

/// `config.json` of a Hugging Face model of `family`.
Json huggingface_config(const Family& family, const ModelDescription& description);

/// `config.json` of timm, as its hub integration reads it: architecture, model_args,
/// pretrained_cfg.
Json timm_config(const ModelDescription& description);

}  // namespace softmoe
