#pragma once
/// Which models the packed engine runs.

#include "core/named_tensors.h"
#include "core/precision.h"
#include "vit/options.h"

namespace softmoe {

/// Returns true if the packed engine computes what the modules do for the model of `options` and
/// `weights`, and its kernels are fast in `precision`.
bool can_pack(const VitOptions& options, const NamedTensors& weights, Precision precision);

}  // namespace softmoe
