#pragma once
/// The config files of models of images and texts, in and out.

#include <string>

#include "checkpoints/image_text_description.h"

namespace softmoe {

/// The config file that open_clip puts beside weights.
inline constexpr const char* kOpenClipConfigName = "open_clip_config.json";

/// The config of the image tower out of Hugging Face's `config`, null if there is none.
Json hf_image_config(const Json& config);
/// The config of open_clip's image tower, with the fields of Hugging Face or timm.
Json open_clip_image_config(const Json& config);
/// Its preprocess_cfg, with the fields of preprocessor_config.json.
Json open_clip_preprocessor(const Json& config);

/// What a config says of texts goes to `options`. All throw InputError that starts with `where` for
/// values that are no such, and for text towers that this project does not have.
void read_hf_clip_text(const Json& config, const std::string& where, TextOptions& options);
void read_hf_siglip_text(const Json& config, const std::string& where, TextOptions& options);
void read_open_clip_text(const Json& config, const std::string& where, TextOptions& options);

/// The config of CLIPModel and SiglipModel.
Json hf_clip_model_config(const ImageTextDescription& description);
Json hf_siglip_model_config(const ImageTextDescription& description);
/// The config of open_clip's CLIP.
Json open_clip_config(const ImageTextDescription& description);
/// That of its SigLIP, whose image tower is one of timm's by name. Throws InputError if timm has
/// none of this size.
Json open_clip_siglip_config(const ImageTextDescription& description);

}  // namespace softmoe
