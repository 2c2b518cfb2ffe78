#pragma once
/// The preprocessor_config.json of Hugging Face, in and out.

#include <string>
#include <vector>

#include "checkpoints/model_description.h"

namespace softmoe {

/// Sets in `preprocess` what a config says of resizing, cropping and normalisation. `mean` and
/// `std` get the values of the config, as many as it has. `choices` gets a line for everything that
/// is done differently here. Throws InputError that starts with `where` for impossible values.
void read_preprocessor(const Json& config, const std::string& where, PreprocessOptions& preprocess,
                       std::vector<std::string>& choices);

/// The config for a model that was stored with `description`: an image processor that resizes to
/// the input size as a whole, or by the shorter edge with a crop from the centre.
Json huggingface_preprocessor(const ModelDescription& description);

/// `values`, one or one per channel, as one per channel.
std::vector<double> per_channel(const std::vector<double>& values, int64_t channels);

}  // namespace softmoe
