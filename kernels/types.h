#pragma once
/// Types that the CPU kernels share. The kernels are serial functions on plain memory; the fused
/// operators divide the work among threads.

#include <cstdint>

namespace softmoe::kernels {

/// The bits of a bfloat16.
using Bf16 = uint16_t;

/// A matrix in one of two precisions: one pointer is set.
struct Source {
  const float* fp32 = nullptr;
  const Bf16* bf16 = nullptr;

  Source offset(int64_t elements) const {
    return {fp32 != nullptr ? fp32 + elements : nullptr,
            bf16 != nullptr ? bf16 + elements : nullptr};
  }
};

/// The same to write to.
struct Target {
  float* fp32 = nullptr;
  Bf16* bf16 = nullptr;

  Target offset(int64_t elements) const {
    return {fp32 != nullptr ? fp32 + elements : nullptr,
            bf16 != nullptr ? bf16 + elements : nullptr};
  }
};

inline constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Whether this processor runs the kernels (AVX-512 with BF16), and the build contains them.
bool supported();

}  // namespace softmoe::kernels
