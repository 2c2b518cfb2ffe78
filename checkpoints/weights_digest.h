#pragma once
/// What tells models from each other.

#include <string>

#include "checkpoints/model_checkpoint.h"

namespace softmoe {

/// 16 hexadecimal digits, the XXH3-64 of a model's description and of the names, dtypes, shapes and
/// values of all its weights: equal for copies of a checkpoint, whatever else their files hold.
std::string weights_digest(const LoadedWeights& model);

}  // namespace softmoe
