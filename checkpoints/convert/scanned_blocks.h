#pragma once
/// Flax models that run their blocks by a scan keep each parameter of all blocks in one tensor,
/// ".../encoderblock/..." with a leading axis of blocks, instead of ".../encoderblock_<i>/...".

#include <string>

#include "core/named_tensors.h"

namespace softmoe {

/// Splits the tensors of scanned blocks. Throws InputError that starts with `where` and names a
/// tensor that has no leading axis, or another number of blocks than the others.
NamedTensors split_blocks(const NamedTensors& tensors, const std::string& where);

/// Stacks the tensors of numbered blocks; all blocks must have the same tensors.
NamedTensors stacked_blocks(const NamedTensors& tensors);

}  // namespace softmoe
