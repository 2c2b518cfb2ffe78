#include "checkpoints/module_tensors.h"

#include <torch/nn/module.h>

namespace softmoe {

NamedTensors named_tensors(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& parameter : module.named_parameters()) {
    tensors[parameter.key()] = parameter.value().detach();
  }
  for (const auto& buffer : module.named_buffers()) {
    tensors[buffer.key()] = buffer.value().detach();
  }
  return tensors;
}

}  // namespace softmoe
