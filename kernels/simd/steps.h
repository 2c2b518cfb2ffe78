#pragma once
/// What a product does with one unit of its factors, by precision: both factors are prepared, then
/// multiplied in kPhases steps. Internal linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

struct Fp32Steps {
  using Sum = Floats;
  using Factor = Floats;
  static constexpr int kPhases = 1;
  static Sum zero_sum() { return zero(); }
  static Factor left(Ints unit) { return as_floats(unit); }
  static Factor right(Ints unit) { return as_floats(unit); }
  template <int kPhase>
  static Sum step(Sum sum, const Factor& left, const Factor& right) {
    return fmadd(left, right, sum);
  }
};

#ifdef SOFTMOE_BF16_PRODUCTS
struct Bf16Steps {
  using Sum = Floats;
  static constexpr int kPhases = 1;
  static Sum zero_sum() { return zero(); }
  static Ints left(Ints unit) { return unit; }
  static Ints right(Ints unit) { return unit; }
  template <int kPhase>
  static Sum step(Sum sum, Ints left, Ints right) {
    return dot_bf16(sum, left, right);
  }
};
#else
/// The low halves as fp32, then the high halves.
struct Bf16Steps {
  using Sum = Floats;
  struct Halves {
    Floats values[2];
  };
  static constexpr int kPhases = 2;
  static Sum zero_sum() { return zero(); }
  static Halves left(Ints unit) { return {{low_bf16(unit), high_bf16(unit)}}; }
  static Halves right(Ints unit) { return left(unit); }
  template <int kPhase>
  static Sum step(Sum sum, const Halves& left, const Halves& right) {
    return fmadd(left.values[kPhase], right.values[kPhase], sum);
  }
};
#endif

/// Products of bytes, unsigned by signed. kOffset is what was taken from every byte of the left
/// factor.
#ifdef SOFTMOE_INT8_PRODUCTS
struct Int8Steps {
  using Sum = Ints;
  static constexpr int kPhases = 1;
  static constexpr int kOffset = 0;
  static Sum zero_sum() { return zero_ints(); }
  static Ints left(Ints unit) { return unit; }
  static Ints right(Ints unit) { return unit; }
  template <int kPhase>
  static Sum step(Sum sum, Ints left, Ints right) {
    return dot_bytes(sum, left, right);
  }
};
#else
/// Less 128 the left bytes are signed: |left| times the right byte with the sign of the left one
/// fits, summed with its neighbour, into 16 bits (2 * 128 * 127), which 255 * 127 would not.
struct Int8Steps {
  using Sum = Ints;
  static constexpr int kPhases = 1;
  static constexpr int kOffset = 128;
  static Sum zero_sum() { return zero_ints(); }
  static SignedBytes left(Ints unit) { return signed_bytes(bit_xor(unit, set1_bytes(0x80))); }
  static Ints right(Ints unit) { return unit; }
  template <int kPhase>
  static Sum step(Sum sum, const SignedBytes& left, Ints right) {
    return dot_signed_bytes(sum, left, right);
  }
};
#endif

}  // namespace
}  // namespace softmoe::kernels
