#pragma once
/// The kernels that are written with Google's highway.

#include <vector>

#include "bench/simd/kernels.h"

namespace softmoe::simd {

/// The tables of all targets that are compiled in and run on this processor, the best one first.
std::vector<Kernels> highway_kernels();

}  // namespace softmoe::simd
