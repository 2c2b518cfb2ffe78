#pragma once
/// What a product does with one unit of its factors, by precision. A step takes a unit in
/// `kPhases` parts, so that few registers hold what is made of it. Internal linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

struct Fp32Steps {
  using Sum = Floats;
  static constexpr int kPhases = 1;
  static Sum zero_sum() { return zero(); }
  template <int kPhase>
  static Ints left(Ints unit) {
    return unit;
  }
  template <int kPhase>
  static Ints right(Ints unit) {
    return unit;
  }
  static Sum step(Sum sum, Ints left, Ints right) {
    return fmadd(as_floats(left), as_floats(right), sum);
  }
};

#ifdef SOFTMOE_BF16_PRODUCTS
struct Bf16Steps : Fp32Steps {
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bf16(sum, left, right); }
};
#else
/// The low halves as fp32, then the high halves.
struct Bf16Steps : Fp32Steps {
  static constexpr int kPhases = 2;
  template <int kPhase>
  static Ints left(Ints unit) {
    return as_ints(kPhase == 0 ? low_bf16(unit) : high_bf16(unit));
  }
  template <int kPhase>
  static Ints right(Ints unit) {
    return left<kPhase>(unit);
  }
};
#endif

#ifdef SOFTMOE_INT8_PRODUCTS
struct Int8Steps : Fp32Steps {
  using Sum = Ints;
  static Sum zero_sum() { return zero_ints(); }
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bytes(sum, left, right); }
};
#else
/// The even bytes as integers of 16 bits, then the odd ones: exact, as the sum of two products of
/// bytes is not in 16 bits.
struct Int8Steps {
  using Sum = Ints;
  static constexpr int kPhases = 2;
  static Sum zero_sum() { return zero_ints(); }
  template <int kPhase>
  static Ints left(Ints unit) {
    return kPhase == 0 ? even_bytes(unit) : odd_bytes(unit);
  }
  template <int kPhase>
  static Ints right(Ints unit) {
    return kPhase == 0 ? signed_even_bytes(unit) : signed_odd_bytes(unit);
  }
  static Sum step(Sum sum, Ints left, Ints right) { return add(sum, dot_words(left, right)); }
};
#endif

}  // namespace
}  // namespace softmoe::kernels
