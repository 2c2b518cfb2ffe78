#pragma once
/// Patch embeddings for patches of another size.

#include <torch/types.h>

#include "vit/position_embedding.h"

namespace softmoe {

/// `weight` [dim, channels, from, from] for patches of `edge` px: a resized patch gives the token
/// of the old patch, as nearly as possible. For this the pseudo-inverse of the resizing is applied.
/// Patches are resized with antialiasing, bicubic or bilinear as `mode` is. The result is
/// computed in fp64 and has the dtype of `weight`.
/// Source: Beyer et al., FlexiViT, arXiv:2212.08013, section 3.4.
torch::Tensor resize_patch_embedding(const torch::Tensor& weight, int64_t edge,
                                     PositionResize mode);

}  // namespace softmoe
