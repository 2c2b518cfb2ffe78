#pragma once
/// What the kernels read and write here. Inputs are the same on every machine.

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "core/precision.h"
#include "kernels/units.h"

namespace softmoe::kernels::values {

using Floats = std::vector<float>;
using Units = std::vector<Unit>;

inline constexpr Precision kPrecisions[] = {Precision::kFloat32, Precision::kBFloat16};

/// What outputs hold before a kernel writes them: small beside what it writes, so that errors are
/// measured by that.
inline constexpr float kUnwritten = 0x1p-7F;

inline Bf16 to_bits(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<Bf16>(bits >> 16);
}
inline float from_bits(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result = 0.0F;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

/// `count` values between -`bound` and `bound`. (The standard's distributions differ among its
/// libraries.)
inline Floats random_floats(int64_t count, uint32_t seed, float bound = 2.0F) {
  std::mt19937 generator(seed);
  Floats values(static_cast<size_t>(count));
  for (auto& value : values) {
    value = static_cast<float>(static_cast<int32_t>(generator())) * 0x1p-31F * bound;
  }
  return values;
}

inline Floats unwritten_floats(int64_t count) {
  return Floats(static_cast<size_t>(count), kUnwritten);
}
inline Units unwritten_units(int64_t count) { return Units(static_cast<size_t>(count), 7); }

/// A matrix in one of the two precisions that kernels read and write.
class Array {
 public:
  /// `values`, cut to bf16 if that is the precision.
  Array(Precision precision, const Floats& values) {
    if (precision == Precision::kFloat32) {
      fp32_ = values;
      return;
    }
    for (const float value : values) {
      bf16_.push_back(to_bits(value));
    }
  }
  static Array random(Precision precision, int64_t count, uint32_t seed, float bound = 2.0F) {
    return {precision, random_floats(count, seed, bound)};
  }
  static Array unwritten(Precision precision, int64_t count) {
    return {precision, unwritten_floats(count)};
  }

  Precision precision() const { return fp32_.empty() ? Precision::kBFloat16 : Precision::kFloat32; }
  Source source() const {
    return fp32_.empty() ? Source{.bf16 = bf16_.data()} : Source{.fp32 = fp32_.data()};
  }
  Target target() {
    return fp32_.empty() ? Target{.bf16 = bf16_.data()} : Target{.fp32 = fp32_.data()};
  }
  Floats values() const {
    Floats values = fp32_;
    for (const Bf16 value : bf16_) {
      values.push_back(from_bits(value));
    }
    return values;
  }

 private:
  Floats fp32_;
  std::vector<Bf16> bf16_;
};

}  // namespace softmoe::kernels::values
