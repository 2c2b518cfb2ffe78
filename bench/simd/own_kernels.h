#pragma once
/// The kernels that are written with our own vectors.

#include <vector>

#include "bench/simd/kernels.h"

namespace softmoe::simd {

struct OwnLevel {
  const Kernels* kernels;
  const FmaLoop* fma_loop;
};

/// The levels that are compiled in and run on this processor, the best one first.
std::vector<OwnLevel> own_levels();

}  // namespace softmoe::simd
