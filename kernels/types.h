#pragma once
/// Types that the kernels share. Kernels are serial functions over plain memory; their callers
/// divide the work among threads.

#include <cstdint>

namespace softmoe::kernels {

/// The bits of a bfloat16.
using Bf16 = uint16_t;
/// 32 bits along the depth of a product: see units.h.
using Unit = uint32_t;

/// A matrix in one of two precisions: one pointer is set.
struct Source {
  const float* fp32 = nullptr;
  const Bf16* bf16 = nullptr;

  Source offset(int64_t elements) const {
    return {fp32 != nullptr ? fp32 + elements : nullptr,
            bf16 != nullptr ? bf16 + elements : nullptr};
  }
  explicit operator bool() const { return fp32 != nullptr || bf16 != nullptr; }
};

/// A matrix in one of two precisions to write to: one pointer is set, or none to write nothing.
struct Target {
  float* fp32 = nullptr;
  Bf16* bf16 = nullptr;

  Target offset(int64_t elements) const {
    return {fp32 != nullptr ? fp32 + elements : nullptr,
            bf16 != nullptr ? bf16 + elements : nullptr};
  }
  operator Source() const { return {fp32, bf16}; }
  explicit operator bool() const { return fp32 != nullptr || bf16 != nullptr; }
};

inline constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace softmoe::kernels
