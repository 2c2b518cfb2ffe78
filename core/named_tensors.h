#pragma once
/// Tensors by name: the parameters and buffers of a model, the arrays of a file.

#include <torch/types.h>

#include <map>
#include <string>

namespace softmoe {

/// Tensors by name, in the order of their names.
using NamedTensors = std::map<std::string, torch::Tensor>;

/// Moves the tensors whose names start with `prefix` out of `tensors`, to their names without it.
NamedTensors take_part(NamedTensors& tensors, const std::string& prefix);

}  // namespace softmoe
