#pragma once
/// A check that foreign weights fit the options that were found for them.

#include <string>

#include "checkpoints/convert/families.h"

namespace softmoe {

/// Throws InputError that starts with `where` and lists the tensors of a model of `options` that
/// `weights` does not have, those of another shape, and those that the model does not have, with
/// their names in `family`; if `options` contradict each other, it says so.
void check_weights(const NamedTensors& weights, const VitOptions& options, const Family& family,
                   const std::string& where);

}  // namespace softmoe
