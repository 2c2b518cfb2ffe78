#pragma once
/// The peak of a level: independent chains of multiply-adds that never leave the registers.

#include "bench/simd/own/vector.h"

namespace softmoe::simd::SOFTMOE_LEVEL {

inline constexpr int kChains = 12;

inline float run_fma_loop(int64_t steps, float factor) {
  Floats chains[kChains];
#pragma GCC unroll 12
  for (int chain = 0; chain < kChains; ++chain) {
    chains[chain] = broadcast(static_cast<float>(chain));
  }
  const Floats a = broadcast(factor);
  const Floats b = broadcast(1.0F - factor);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int chain = 0; chain < kChains; ++chain) {
      chains[chain] = multiply_add(chains[chain], a, b);
    }
  }
  Floats sum{};
#pragma GCC unroll 12
  for (int chain = 0; chain < kChains; ++chain) {
    sum = sum + chains[chain];
  }
  return sum_of_lanes(sum);
}

}  // namespace softmoe::simd::SOFTMOE_LEVEL
