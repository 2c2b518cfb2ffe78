#pragma once
/// What a product does with one unit of its factors, by precision. A unit is multiplied in
/// kPhases parts, into which both factors are split. Internal linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

struct Fp32Steps {
  using Sum = Floats;
  static constexpr int kPhases = 1;
  static Sum zero_sum() { return zero(); }
  static void split_left(Ints unit, Ints (&parts)[1]) { parts[0] = unit; }
  static void split_right(Ints unit, Ints (&parts)[1]) { parts[0] = unit; }
  static Sum step(Sum sum, Ints left, Ints right) {
    return fmadd(as_floats(left), as_floats(right), sum);
  }
};

#ifdef SOFTMOE_BF16_PRODUCTS
struct Bf16Steps : Fp32Steps {
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bf16(sum, left, right); }
};
#else
/// The low halves as fp32, and the high halves.
struct Bf16Steps : Fp32Steps {
  static constexpr int kPhases = 2;
  static void split_left(Ints unit, Ints (&parts)[2]) {
    parts[0] = as_ints(low_bf16(unit));
    parts[1] = as_ints(high_bf16(unit));
  }
  static void split_right(Ints unit, Ints (&parts)[2]) { split_left(unit, parts); }
};
#endif

#ifdef SOFTMOE_INT8_PRODUCTS
struct Int8Steps : Fp32Steps {
  using Sum = Ints;
  static Sum zero_sum() { return zero_ints(); }
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bytes(sum, left, right); }
};
#else
/// The even bytes as integers of 16 bits, and the odd ones: exact, while the sum of two products of
/// bytes may not fit into 16 bits.
struct Int8Steps {
  using Sum = Ints;
  static constexpr int kPhases = 2;
  static Sum zero_sum() { return zero_ints(); }
  static void split_left(Ints unit, Ints (&parts)[2]) {
    parts[0] = even_bytes(unit);
    parts[1] = odd_bytes(unit);
  }
  static void split_right(Ints unit, Ints (&parts)[2]) {
    parts[0] = signed_even_bytes(unit);
    parts[1] = signed_odd_bytes(unit);
  }
  static Sum step(Sum sum, Ints left, Ints right) { return add(sum, dot_words(left, right)); }
};
#endif

}  // namespace
}  // namespace softmoe::kernels
