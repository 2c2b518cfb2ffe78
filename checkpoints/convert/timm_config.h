#pragma once
/// The config.json of timm.

#include "checkpoints/model_description.h"

namespace softmoe {

/// As timm's hub integration reads it: architecture, model_args, pretrained_cfg.
Json timm_config(const ModelDescription& description);

}  // namespace softmoe
