#pragma once
/// The vectors of the level that a source is compiled for, and what follows from them alone. The
/// build defines SOFTMOE_LEVEL, a namespace, and SOFTMOE_VECTOR, a header of kernels/<folder>/.
/// Internal linkage, so that no code for one level replaces code of another.

#include SOFTMOE_VECTOR

#include "kernels/units.h"

namespace softmoe::kernels {
namespace {

/// Vectors of a row of a panel.
inline constexpr int kPanelVectors = static_cast<int>(kPanelColumns / kLanes);

[[gnu::always_inline]] inline Floats load(Source source, int64_t index, Mask mask) {
  return source.bf16 != nullptr ? load_bf16(mask, source.bf16 + index)
                                : load(mask, source.fp32 + index);
}
[[gnu::always_inline]] inline Floats load(Source source, int64_t index) {
  return source.bf16 != nullptr ? load_bf16(source.bf16 + index) : load(source.fp32 + index);
}
[[gnu::always_inline]] inline void store(Target target, int64_t index, Mask mask, Floats value) {
  if (target.bf16 != nullptr) {
    store_bf16(target.bf16 + index, mask, value);
  } else {
    store(target.fp32 + index, mask, value);
  }
}
[[gnu::always_inline]] inline void store(Target target, int64_t index, Floats value) {
  if (target.bf16 != nullptr) {
    store_bf16(target.bf16 + index, value);
  } else {
    store(target.fp32 + index, value);
  }
}
/// Two neighbouring vectors.
[[gnu::always_inline]] inline void store_pair(float* to, PairMask mask, Floats low, Floats high) {
  store(to, low_lanes(mask), low);
  store(to + kLanes, high_lanes(mask), high);
}
[[gnu::always_inline]] inline void store_pair(Target target, int64_t index, PairMask mask,
                                              Floats low, Floats high) {
  if (target.bf16 != nullptr) {
    store_bf16(target.bf16 + index, mask, low, high);
  } else {
    store_pair(target.fp32 + index, mask, low, high);
  }
}

/// Asks for the cache lines of 32 neighbouring values, which are needed after the next product.
/// (gcc 12 takes functions of nothing but __builtin_prefetch for pure and drops their calls.)
[[gnu::always_inline]] inline void fetch(Source source, int64_t index) {
  if (source.bf16 != nullptr) {
    fetch_line(source.bf16 + index);
  } else {
    fetch_line(source.fp32 + index);
    fetch_line(source.fp32 + index + 16);
  }
}

/// Lane masks that fold away if every vector is full.
template <bool kFull>
inline Mask lanes_of(int64_t first, int64_t count) {
  return kFull ? all_lanes() : lanes(first, count);
}

}  // namespace
}  // namespace softmoe::kernels
