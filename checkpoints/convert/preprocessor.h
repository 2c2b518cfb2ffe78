#pragma once
/// The preprocessor_config.json of Hugging Face, in and out.

#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"

namespace softmoe {

/// Sets what a config says of resizing, cropping and normalisation in `preprocess`, which has the
/// options of PreprocessOptions by name, `mean` and `std` among them. `choices` gets a line for
/// everything that ours does otherwise. Throws InputError that starts with `where` for values that
/// make no sense.
void read_preprocessor(const Json& config, const std::string& where, Json& preprocess,
                       std::vector<std::string>& choices);

/// The config for a model that was stored with `description`: an image processor that resizes to
/// the input size as a whole, or by the shorter edge with a crop from the centre.
Json huggingface_preprocessor(const ModelDescription& description);

/// Whether evaluation takes images as a whole, whatever their aspect ratio.
bool squeezes_images(const ModelDescription& description);

/// The option `name` of `preprocess`, one value a channel.
Json per_channel(const Json& preprocess, const std::string& name, int64_t channels);

}  // namespace softmoe
