#pragma once
/// Parameters and buffers of a module by name.

#include "core/named_tensors.h"

namespace torch::nn {
class Module;
}

namespace softmoe {

/// Parameters and buffers of `module`, detached; they share its memory.
NamedTensors named_tensors(const torch::nn::Module& module);

}  // namespace softmoe
