#pragma once
/// Named models. A name is a preset of VitOptions, every part of which can be overridden.

#include <string>
#include <vector>

#include "vit/options.h"

namespace softmoe {

/// The options behind a name:
/// - `vit_<size><patch>`: dense, sizes ti, s, b, l, h, g, G (`vit_b16`);
/// - `softmoe_<size><patch>_<N>e`: N experts of one slot in the last half of the blocks
///   (`softmoe_b16_128e`), any N;
/// - timm's names (`vit_base_patch16_224`), with class token and exact GELU as there; `_gap_`
///   before the image size: mean pooling without class token; `vit_<size>_patch14_dinov2` and
///   `vit_<size>_patch14_reg4_dinov2`: backbones of DINOv2, without a head.
/// Throws UsageError that lists the zoo, or names what is wrong with the patch size in the name.
VitOptions model_preset(const std::string& name);

/// Returns true if model_preset() knows `name`.
bool is_model_name(const std::string& name);

/// The names that `softmoe models` lists: every size with its usual patches, dense and as in the
/// Soft MoE paper.
std::vector<std::string> zoo_names();

/// The timm name of a zoo model, empty if timm has none.
std::string timm_alias(const std::string& name);

}  // namespace softmoe
