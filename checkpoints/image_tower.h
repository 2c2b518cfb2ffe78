#pragma once
/// Native checkpoints of models of images, and the image towers of models of images and texts,
/// which are such models: their outputs are the features before the projection, and they have no
/// head.

#include <filesystem>

#include "checkpoints/checkpoint.h"

namespace softmoe {

/// load_metadata() of a model of images: for a model of images and texts, that of its image tower.
Json load_image_metadata(const std::filesystem::path& path);

/// `weights` of a model of images without its heads, which image towers lack.
NamedTensors without_heads(NamedTensors weights);

/// load_checkpoint() of a model of images: for a model of images and texts, what belongs to its
/// image tower, which a line of the log says.
Checkpoint load_image_checkpoint(const std::filesystem::path& path,
                                 const CheckpointParts& parts = {});

}  // namespace softmoe
