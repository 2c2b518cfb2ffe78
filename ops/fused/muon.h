#pragma once
/// Updates of Muon on our kernels: each matrix by one thread, from its gradient to its new values,
/// in memory that stays in the caches.

#include "ops/muon_update.h"

namespace softmoe::fused {

/// Returns true if muon() takes these tensors: contiguous fp32 on a CPU with kernels.
bool takes_muon(const UpdatedTensors& tensors);

/// softmoe::muon_update() of tensors that are all taken.
void muon(const MuonStep& step, const UpdatedTensors& tensors);

}  // namespace softmoe::fused
