#pragma once
/// Models read from files within the memory that is available.

#include <string>

#include "checkpoints/model_checkpoint.h"

namespace softmoe {

/// Reads the model of `checkpoint` onto `device`. Throws InputError like load_model(), and before
/// anything is read if its weights need more memory than is available.
LoadedModel open_model(const std::string& checkpoint, const torch::Device& device = torch::kCPU);

/// Reads the weights of `checkpoint` in the dtype that they have there, for a model that is to
/// compute on `device`. Throws like open_model().
LoadedWeights open_weights(const std::string& checkpoint,
                           const torch::Device& device = torch::kCPU);

/// Logs the first tensor of `weights`, of `checkpoint`, that has NaN or infinite values.
void note_odd_values(const NamedTensors& weights, const std::string& checkpoint);

}  // namespace softmoe
