#pragma once
/// Named models of images and texts: presets of ImageTextOptions.

#include <string>
#include <vector>

#include "vit/image_text_options.h"

namespace softmoe {

/// The options behind a name, `clip_<image tower>` or `siglip_<image tower>`, where the image tower
/// is one of model_preset()'s own names: `clip_vit_b16`, `siglip_softmoe_s16_32e`. The text tower
/// is dense and has the size that open_clip gives it beside such an image tower; that of the size
/// ti has half the blocks.
/// - clip (arXiv:2103.00020, as open_clip's ViT-B-16): class token, norm before the blocks, causal
///   texts of 77 tokens that end at the largest id, projections without bias;
/// - siglip (arXiv:2303.15343): attention pooling, texts of 64 tokens read in both directions up to
///   their last one, a logit bias.
/// Throws UsageError that lists the zoo.
ImageTextOptions image_text_preset(const std::string& name);

/// Returns true if image_text_preset() knows `name`.
bool is_image_text_name(const std::string& name);

/// The name of the image tower of a model `name`; `name` itself if it is of no known kind.
std::string image_tower_name(const std::string& name);

/// Names of both kinds with the usual image towers, for messages and lists.
std::vector<std::string> image_text_zoo_names();

}  // namespace softmoe
