#pragma once
/// Tensors by name, as checkpoints and .npz files hold them.

#include <torch/types.h>

#include <map>
#include <string>

namespace softmoe {

/// In the order of their names.
using NamedTensors = std::map<std::string, torch::Tensor>;

}  // namespace softmoe
