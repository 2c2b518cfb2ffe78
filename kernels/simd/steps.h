#pragma once
/// What a product does with one unit of its factors, by precision: both factors are prepared, then
/// multiplied in kPhases steps. Internal linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

struct Fp32Steps {
  using Sum = Floats;
  static constexpr bool kWidens = false;
  using Factor = Floats;
  static constexpr int kPhases = 1;
  static Sum zero_sum() { return zero(); }
  template <int kPhase>
  static Factor left(Ints unit) {
    return as_floats(unit);
  }
  template <int kPhase>
  static Factor right(Ints unit) {
    return as_floats(unit);
  }
  static Sum step(Sum sum, const Factor& left, const Factor& right) {
    return fmadd(left, right, sum);
  }
};

#ifdef SOFTMOE_BF16_PRODUCTS
struct Bf16Steps {
  using Sum = Floats;
  static constexpr int kPhases = 1;
  static constexpr bool kWidens = false;
  static Sum zero_sum() { return zero(); }
  template <int kPhase>
  static Ints left(Ints unit) {
    return unit;
  }
  template <int kPhase>
  static Ints right(Ints unit) {
    return unit;
  }
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bf16(sum, left, right); }
};
#else
/// The low halves as fp32, then the high halves. kWidens: for many rows it pays to make fp32 of
/// both factors first.
struct Bf16Steps {
  using Sum = Floats;
  static constexpr int kPhases = 2;
  static constexpr bool kWidens = true;
  static Sum zero_sum() { return zero(); }
  template <int kPhase>
  static Floats left(Ints unit) {
    return kPhase == 0 ? low_bf16(unit) : high_bf16(unit);
  }
  template <int kPhase>
  static Floats right(Ints unit) {
    return left<kPhase>(unit);
  }
  static Sum step(Sum sum, Floats left, Floats right) { return fmadd(left, right, sum); }
};
#endif

/// Products of bytes, unsigned by signed. kOffset is what was taken from every byte of the left
/// factor.
#ifdef SOFTMOE_INT8_PRODUCTS
struct Int8Steps {
  using Sum = Ints;
  static constexpr int kPhases = 1;
  static constexpr bool kWidens = false;
  static constexpr int kOffset = 0;
  static Sum zero_sum() { return zero_ints(); }
  template <int kPhase>
  static Ints left(Ints unit) {
    return unit;
  }
  template <int kPhase>
  static Ints right(Ints unit) {
    return unit;
  }
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bytes(sum, left, right); }
};
#else
/// Less 128 the left bytes are signed: |left| times the right byte with the sign of the left one
/// fits, summed with its neighbour, into 16 bits (2 * 128 * 127), which 255 * 127 would not.
struct Int8Steps {
  using Sum = Ints;
  static constexpr int kPhases = 1;
  static constexpr bool kWidens = false;
  static constexpr int kOffset = 128;
  static Sum zero_sum() { return zero_ints(); }
  template <int kPhase>
  static SignedBytes left(Ints unit) {
    return signed_bytes(bit_xor(unit, set1_bytes(0x80)));
  }
  template <int kPhase>
  static Ints right(Ints unit) {
    return unit;
  }
  static Sum step(Sum sum, const SignedBytes& left, Ints right) {
    return dot_signed_bytes(sum, left, right);
  }
};
#endif

}  // namespace
}  // namespace softmoe::kernels
