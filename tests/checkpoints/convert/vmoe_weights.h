#pragma once
/// Weights under the names of google-research/vmoe, by themselves or in a file of more.

#include "checkpoints/convert/family_weights.h"

namespace softmoe::test {

inline NamedTensors from_vmoe(const NamedTensors& flax, const std::string& where = "vmoe") {
  return to_our_names(find_model(flax, "vmoe", "", where), where).tensors;
}

inline NamedTensors to_vmoe(const NamedTensors& tensors, int64_t heads) {
  return to_family_names(tensors, find_family("vmoe"), heads, "model");
}

}  // namespace softmoe::test
