#pragma once
/// Moments of optimizers as codes of 8 bits, in vectors. Internal linkage, as vector.h.
///
/// What a code stands for follows from one number, which is its distance from the code of 0, plus 1
/// if there is no sign. Its exponent is a decade, in which numbers lie as dense as its power of
/// two, and its fraction the place there. So neither way needs a table of 256 numbers. Source of
/// the numbers: Dettmers et al., arXiv:2110.02861, section 2.2 (dynamic tree).

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

inline constexpr int kDecades = 7;  // up to 10^-6, 10^-5, ... 1

/// 10^(decade - 6).
inline constexpr double top_of(int decade) {
  double top = 1.0;
  for (int i = decade; i < kDecades - 1; ++i) {
    top /= 10.0;
  }
  return top;
}

/// The code of means (with a sign: numbers in [-1, 1]) or of mean squares (numbers in [0, 1]).
template <bool kHasSign>
class MomentCode {
 public:
  /// The numbers of `codes`, times `scale`.
  static Floats decode(Ints codes, Floats scale) {
    const Ints distance = kHasSign ? sub(codes, set1_ints(kZeroCode)) : add(codes, set1_ints(1));
    const Floats number = kHasSign ? abs(to_floats(distance)) : to_floats(distance);
    // Decades are those of the exponent modulo 8, in which the one of 0 is also that of 1.
    const Ints exponent = shift_right<23>(as_ints(number));
    const Floats fraction = as_floats(
        bit_or(bit_and(as_ints(number), set1_ints(0x7FFFFF)), as_ints(set1(1.0F))));  // in [1, 2)
    const Floats magnitude =
        fmadd(lookup8(kTables.slope, exponent), fraction, lookup8(kTables.start, exponent));
    const Floats is_above_zero = min(sub(number, set1(kHasSign ? 0.0F : 1.0F)), set1(1.0F));
    const Floats value = mul(mul(is_above_zero, scale), magnitude);
    return kHasSign ? as_floats(bit_xor(as_ints(value), bit_and(distance, set1_ints(kSignBit))))
                    : value;
  }

  /// The codes of the numbers nearest to `values` * `inverse_scale`, which are in [-1, 1]. No mean
  /// square above 0 becomes 0.
  static Ints encode(Floats values, Floats inverse_scale) {
    const Floats quotient = mul(values, inverse_scale);
    const Floats magnitude = abs(quotient);
    Ints decade = zero_ints();  // plus 1; 0 stands for 0, and 8 for 1
#pragma GCC unroll 8
    for (int bound = 0; bound < 8; ++bound) {
      decade = count_above(decade, magnitude, kTables.bounds[bound]);
    }
    // The smallest number of the decade's exponent, and the smallest of the next one's.
    const Ints exponent = add(decade, set1_ints(kHasSign ? 126 : 127));
    const Floats low = as_floats(shift_left<23>(exponent));
    const Floats high = sub(add(low, low), set1(1.0F));
    const Floats place =
        fmadd(lookup8(kTables.steps, decade), magnitude, lookup8(kTables.offset, decade));
    const Ints distance = to_ints(min(max(place, low), high));
    if constexpr (kHasSign) {
      const Ints signs = shift_right_signed<31>(as_ints(quotient));  // -1 or 0
      const Ints turned = sub(bit_xor(distance, signs), signs);
      return clamp(add(turned, set1_ints(kZeroCode)), 0, 255);
    } else {
      return sub(distance, set1_ints(1));
    }
  }

 private:
  static constexpr int32_t kZeroCode = 127;
  static constexpr int32_t kSignBit = INT32_MIN;

  struct Tables {
    // By the exponent of a number, modulo 8.
    float slope[8] = {};
    float start[8] = {};
    // By the decade plus 1, modulo 8.
    float steps[8] = {};
    float offset[8] = {};
    /// Middles between the last number of a decade and the first of the next one.
    float bounds[8] = {};
  };

  static constexpr double number_of(int decade, int place) {
    const int intervals = kHasSign ? 1 << decade : 2 << decade;
    return top_of(decade) * (0.1 + 0.9 * (place + 0.5) / intervals);
  }

  static constexpr Tables make_tables() {
    Tables tables;
    double below = 0.0;  // the last number of the decade before
    for (int decade = 0; decade < kDecades; ++decade) {
      const int intervals = kHasSign ? 1 << decade : 2 << decade;
      const double top = top_of(decade);
      const int exponent = (kHasSign ? decade : decade + 1) + 127;
      tables.slope[exponent % 8] = static_cast<float>(0.9 * top);
      tables.start[exponent % 8] = static_cast<float>(top * (0.1 - 0.9 + 0.45 / intervals));
      tables.steps[decade + 1] = static_cast<float>(intervals / (0.9 * top));
      // Rounding to the nearest takes half an interval back.
      tables.offset[decade + 1] = static_cast<float>(intervals - intervals / 9.0 - 0.5);
      const double middle = 0.5 * (below + number_of(decade, 0));
      tables.bounds[decade] = decade == 0 && !kHasSign ? 0.0F : static_cast<float>(middle);
      below = number_of(decade, intervals - 1);
    }
    const int exponent_of_one = (kHasSign ? 7 : 8) + 127;
    tables.start[exponent_of_one % 8] = 1.0F;
    tables.bounds[kDecades] = static_cast<float>(0.5 * (below + 1.0));
    return tables;
  }

  static constexpr Tables kTables = make_tables();
};

}  // namespace
}  // namespace softmoe::kernels
