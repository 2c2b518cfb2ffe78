#pragma once
/// Names of Google's models in Flax; '/' joins their parts.

#include <span>

#include "checkpoints/convert/name_map.h"

namespace softmoe {

std::span<const NameRow> big_vision_names();
std::span<const NameRow> vision_transformer_names();
/// google-research/vmoe: dense models and those with MoE layers.
std::span<const NameRow> vmoe_names();

}  // namespace softmoe
