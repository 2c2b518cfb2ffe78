#pragma once
/// What a product does with one unit of its factors, by precision: both factors are prepared, then
/// multiplied in kPhases steps. Internal linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

/// What a product needs on its thread before its sums if there are no matrix registers: nothing.
struct NoRegisters {
  explicit NoRegisters(int64_t /*rows*/) {}
};

/// Units that are factors as they are, multiplied in one step.
struct WholeUnits {
  using Registers = NoRegisters;
  /// True if matrix registers multiply whole blocks of the factors (matrix_sums.h).
  static constexpr bool kMatrices = false;
  static constexpr int kPhases = 1;
  /// True if it pays to make fp32 of both factors first if there are many rows.
  static constexpr bool kWidens = false;
  template <int kPhase>
  static Ints left(Ints unit) {
    return unit;
  }
  template <int kPhase>
  static Ints right(Ints unit) {
    return unit;
  }
};

struct Fp32Steps : WholeUnits {
  using Sum = Floats;
  static Sum zero_sum() { return zero(); }
  static Sum step(Sum sum, Ints left, Ints right) {
    return fmadd(as_floats(left), as_floats(right), sum);
  }
};

#ifdef SOFTMOE_MATRIX_PRODUCTS
template <Precision kFactors>
struct MatrixUnits : WholeUnits {
  using Registers = MatrixRegisters;
  static constexpr bool kMatrices = true;
  static constexpr Precision kPrecision = kFactors;
};
#else
template <Precision kFactors>
using MatrixUnits = WholeUnits;
#endif

#ifdef SOFTMOE_BF16_PRODUCTS
struct Bf16Steps : MatrixUnits<Precision::kBFloat16> {
  using Sum = Floats;
  static Sum zero_sum() { return zero(); }
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bf16(sum, left, right); }
};
#else
/// The low halves as fp32, then the high halves.
struct Bf16Steps {
  using Registers = NoRegisters;
  using Sum = Floats;
  static constexpr bool kMatrices = false;
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
struct Int8Steps : MatrixUnits<Precision::kInt8> {
  using Sum = Ints;
  static constexpr int kOffset = 0;
  static Sum zero_sum() { return zero_ints(); }
  static Sum step(Sum sum, Ints left, Ints right) { return dot_bytes(sum, left, right); }
};
#else
/// Less 128 the left bytes are signed: |left| times the right byte with the sign of the left one
/// fits, summed with its neighbour, into 16 bits (2 * 128 * 127), which 255 * 127 would not.
struct Int8Steps : WholeUnits {
  using Sum = Ints;
  static constexpr int kOffset = 128;
  static Sum zero_sum() { return zero_ints(); }
  template <int kPhase>
  static SignedBytes left(Ints unit) {
    return signed_bytes(bit_xor(unit, set1_bytes(0x80)));
  }
  static Sum step(Sum sum, const SignedBytes& left, Ints right) {
    return dot_signed_bytes(sum, left, right);
  }
};
#endif

}  // namespace
}  // namespace softmoe::kernels
