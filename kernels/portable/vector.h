#pragma once
/// Vectors of 4 lanes in the vector extension of gcc and clang, which any processor runs: SSE2 on
/// x86-64, NEON on ARM, plain registers elsewhere. The functions are described in
/// kernels/avx512/vector.h.

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/types.h"

namespace softmoe::kernels {
namespace {

using Floats = float __attribute__((vector_size(16)));
using Ints = int32_t __attribute__((vector_size(16)));
using Words = uint16_t __attribute__((vector_size(8)));
/// All bits of a lane, or none.
struct Mask {
  Ints bits;
  int64_t count;  ///< lanes from the first on
};
struct PairMask {
  int64_t count;
};

inline constexpr int64_t kLanes = 4;
#ifdef __aarch64__
// With 24 gcc 12 keeps some of the sums in memory, since it loads the whole row of a panel first.
inline constexpr int kSumVectors = 16;
inline constexpr int kFewSumVectors = 16;
#else
inline constexpr int kSumVectors = 8;
inline constexpr int kFewSumVectors = 8;
#endif

// Masks.
inline Mask first_lanes(int64_t count) {
  const int64_t bounded = count < 0 ? 0 : count > kLanes ? kLanes : count;
  return {Ints{0, 1, 2, 3} < static_cast<int32_t>(bounded), bounded};
}
inline Mask lanes(int64_t first, int64_t count) { return first_lanes(count - first); }
inline PairMask pair_lanes(int64_t first, int64_t count) {
  const int64_t left = count - first;
  return {left < 0 ? 0 : left > 2 * kLanes ? 2 * kLanes : left};
}
inline Mask all_lanes() { return first_lanes(kLanes); }
inline Mask low_lanes(PairMask mask) { return first_lanes(mask.count); }
inline Mask high_lanes(PairMask mask) { return first_lanes(mask.count - kLanes); }
inline bool is_empty(Mask mask) { return mask.count == 0; }

// Memory.
template <typename Vector>
inline Vector load_as(const void* from) {
  Vector value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
/// The first `count` values of `Value`, the others zero.
template <typename Vector, typename Value>
inline Vector load_first(const void* from, int64_t count) {
  Vector value{};
  std::memcpy(&value, from, static_cast<size_t>(count) * sizeof(Value));
  return value;
}
inline Floats load(const float* from) { return load_as<Floats>(from); }
inline Floats load(Mask mask, const float* from) {
  return mask.count == kLanes ? load(from) : load_first<Floats, float>(from, mask.count);
}
inline void store(float* to, Floats value) { std::memcpy(to, &value, sizeof(value)); }
inline void store(float* to, Mask mask, Floats value) {
  if (mask.count == kLanes) {
    store(to, value);
  } else {
    std::memcpy(to, &value, static_cast<size_t>(mask.count) * sizeof(float));
  }
}
inline void stream(float* to, Floats value) { store(to, value); }
inline void end_streams() {}
inline Ints load_ints(const void* from) { return load_as<Ints>(from); }
inline Ints load_ints(Mask mask, const void* from) {
  return mask.count == kLanes ? load_ints(from) : load_first<Ints, int32_t>(from, mask.count);
}
inline void store_ints(void* to, Ints value) { std::memcpy(to, &value, sizeof(value)); }
inline void fetch_line(const void* line) { __builtin_prefetch(line, 0, 3); }
inline void fetch_line_far(const void* line) { __builtin_prefetch(line, 0, 2); }

// Arithmetic.
inline Floats zero() { return Floats{}; }
inline Floats set1(float value) { return Floats{value, value, value, value}; }
inline Floats add(Floats a, Floats b) { return a + b; }
inline Floats sub(Floats a, Floats b) { return a - b; }
inline Floats mul(Floats a, Floats b) { return a * b; }
inline Floats div(Floats a, Floats b) { return a / b; }
inline Floats fmadd(Floats a, Floats b, Floats c) { return a * b + c; }
inline Floats fnmadd(Floats a, Floats b, Floats c) { return c - a * b; }
inline Floats sqrt(Floats a) {
#if defined(__SSE2__)
  return _mm_sqrt_ps(a);
#elif defined(__aarch64__)
  return vsqrtq_f32(a);
#else
  return Floats{std::sqrt(a[0]), std::sqrt(a[1]), std::sqrt(a[2]), std::sqrt(a[3])};
#endif
}
inline Floats max(Floats a, Floats b) { return a > b ? a : b; }
inline Floats min(Floats a, Floats b) { return a < b ? a : b; }

// Integers of 32 bits.
inline Ints zero_ints() { return Ints{}; }
inline Ints set1_ints(int32_t value) { return Ints{value, value, value, value}; }
inline Ints set1_bytes(int value) {
  return set1_ints(static_cast<int32_t>(static_cast<uint32_t>(value) * 0x01010101U));
}
inline Ints as_ints(Floats a) { return reinterpret_cast<Ints>(a); }
inline Floats as_floats(Ints a) { return reinterpret_cast<Floats>(a); }
inline Ints add(Ints a, Ints b) { return a + b; }
inline Ints sub(Ints a, Ints b) { return a - b; }
inline Ints bit_and(Ints a, Ints b) { return a & b; }
inline Ints bit_xor(Ints a, Ints b) { return a ^ b; }
inline Ints bit_or(Ints a, Ints b) { return a | b; }
template <int kBits>
inline Ints shift_left(Ints a) {
  return a << kBits;
}
template <int kBits>
inline Ints shift_right(Ints a) {
  using Unsigned = uint32_t __attribute__((vector_size(16)));
  return reinterpret_cast<Ints>(reinterpret_cast<Unsigned>(a) >> kBits);
}
template <int kBits>
inline Ints shift_right_signed(Ints a) {
  return a >> kBits;
}
inline Ints count_above(Ints count, Floats value, float bound) {
  return count - (value > set1(bound));
}
inline Floats lookup8(const float (&table)[8], Ints index) {
  return Floats{table[index[0] & 7], table[index[1] & 7], table[index[2] & 7], table[index[3] & 7]};
}
inline Floats to_floats(Ints a) { return __builtin_convertvector(a, Floats); }
inline Ints to_ints(Floats a) {
#if defined(__SSE2__)
  return reinterpret_cast<Ints>(_mm_cvtps_epi32(a));
#elif defined(__aarch64__)
  return vcvtnq_s32_f32(a);
#else
  // Added to 1.5 * 2^23 a number has its integer in its low bits.
  return as_ints(a + set1(12582912.0F)) - set1_ints(0x4B400000);
#endif
}
inline int32_t sum_of(Ints a) { return a[0] + a[1] + (a[2] + a[3]); }
inline Ints clamp(Ints a, int32_t low, int32_t high) {
  const Ints raised = a > low ? a : set1_ints(low);
  return raised < high ? raised : set1_ints(high);
}
using Bytes = uint8_t __attribute__((vector_size(4)));
inline Ints load_bytes(Mask mask, const uint8_t* from) {
  return __builtin_convertvector((load_first<Bytes, uint8_t>(from, mask.count)), Ints);
}
inline void store_bytes(void* to, Mask mask, Ints value) {
  const Bytes bytes = __builtin_convertvector(value & 0xFF, Bytes);
  std::memcpy(to, &bytes, static_cast<size_t>(mask.count));
}
inline void store_bytes(void* to, Ints value) { store_bytes(to, all_lanes(), value); }
inline constexpr int64_t kTileLanes = 4;
template <int kPart>
inline void store_tile_lanes(Unit* to, Ints value) {
  static_assert(kPart == 0);
  store_ints(to, value);
}

// More arithmetic.
inline Floats abs(Floats a) { return as_floats(as_ints(a) & 0x7FFFFFFF); }
/// For magnitudes below 2^22; larger ones, which have no fraction that matters, stay as they are.
inline Floats round(Floats a) {
#ifdef __aarch64__
  return vrndnq_f32(a);
#else
  const Floats magic = set1(12582912.0F);
  return abs(a) < set1(4194304.0F) ? (a + magic) - magic : a;
#endif
}
/// Powers below 2^-126 count as zero, those above 2^127 as infinite.
inline Floats scale_by_power(Floats value, Floats whole) {
  const Floats bounded = min(set1(128.0F), max(set1(-127.0F), whole));
  return value * as_floats((to_ints(bounded) + 127) << 23);
}
inline Floats rough_reciprocal(Floats x) { return set1(1.0F) / x; }
inline Floats keep(Mask mask, Floats value) { return as_floats(mask.bits & as_ints(value)); }
inline Floats choose_by_sign(Floats x, Floats negative, Floats other) {
  return x < zero() ? negative : other;
}
inline Floats max(Mask mask, Floats a, Floats b) { return mask.bits != 0 ? max(a, b) : a; }
inline float first_lane(Floats a) { return a[0]; }
inline float sum_of(Floats a) { return a[0] + a[1] + (a[2] + a[3]); }
inline float max_of(Floats a) {
  const float low = a[0] > a[1] ? a[0] : a[1];
  const float high = a[2] > a[3] ? a[2] : a[3];
  return low > high ? low : high;
}
inline float min_of(Floats a) {
  const float low = a[0] < a[1] ? a[0] : a[1];
  const float high = a[2] < a[3] ? a[2] : a[3];
  return low < high ? low : high;
}

// bf16.
inline Floats low_bf16(Ints pairs) { return as_floats(shift_left<16>(pairs)); }
inline Floats high_bf16(Ints pairs) { return as_floats(pairs & -65536); }
inline Ints load_words(Mask mask, const Bf16* from) {
  return __builtin_convertvector((load_first<Words, Bf16>(from, mask.count)), Ints);
}
inline Floats load_bf16(const Bf16* from) {
  return low_bf16(__builtin_convertvector(load_as<Words>(from), Ints));
}
inline Floats load_bf16(Mask mask, const Bf16* from) { return low_bf16(load_words(mask, from)); }
inline Ints load_pairs(PairMask mask, const Bf16* from) {
  return load_first<Ints, Bf16>(from, mask.count);
}
inline Ints rounded_low_halves(Floats value) {
  const Ints bits = as_ints(value);
  const Ints odd = shift_right<16>(bits) & 1;
  const Ints rounded = shift_right<16>(bits + odd + 0x7FFF);
  return value == value ? rounded : shift_right<16>(bits) | 0x40;
}
inline Words rounded_words(Floats value) {
  return __builtin_convertvector(rounded_low_halves(value), Words);
}
inline Ints neighbours_bf16(Floats first, Floats second) {
  const Words words[2] = {rounded_words(first), rounded_words(second)};
  return load_as<Ints>(words);
}
inline Ints pair_bf16(Floats low, Floats high) {
  return rounded_low_halves(low) | rounded_low_halves(high) << 16;
}
inline void store_bf16(Bf16* to, Mask mask, Floats value) {
  const Words words = rounded_words(value);
  std::memcpy(to, &words, static_cast<size_t>(mask.count) * sizeof(Bf16));
}
inline void store_bf16(Bf16* to, Floats value) { store_bf16(to, all_lanes(), value); }
inline void store_bf16(Bf16* to, PairMask mask, Floats low, Floats high) {
  const Ints words = neighbours_bf16(low, high);
  std::memcpy(to, &words, static_cast<size_t>(mask.count) * sizeof(Bf16));
}

// Products.
#ifdef __aarch64__
struct SignedBytes {
  int8x16_t bytes;
};
inline SignedBytes signed_bytes(Ints bytes) { return {reinterpret_cast<int8x16_t>(bytes)}; }
inline Ints dot_signed_bytes(Ints sum, const SignedBytes& left, Ints right) {
  const auto other = reinterpret_cast<int8x16_t>(right);
  const int16x8_t low = vmull_s8(vget_low_s8(left.bytes), vget_low_s8(other));
  const int16x8_t high = vmull_high_s8(left.bytes, other);
  // Two products fit into 16 bits, since `right` is at least -127.
  return vpadalq_s16(sum, vpaddq_s16(low, high));
}
#else
/// The even bytes and the odd ones as integers of 16 bits.
struct SignedBytes {
  Ints parts[2];
};
inline SignedBytes signed_bytes(Ints bytes) {
  using Shorts = int16_t __attribute__((vector_size(16)));
  const auto words = reinterpret_cast<Shorts>(bytes);
  return {{reinterpret_cast<Ints>((words << 8) >> 8), reinterpret_cast<Ints>(words >> 8)}};
}
/// The sums of the products of two neighbouring integers of 16 bits.
inline Ints dot_words(Ints left, Ints right) {
#ifdef __SSE2__
  return reinterpret_cast<Ints>(
      _mm_madd_epi16(reinterpret_cast<__m128i>(left), reinterpret_cast<__m128i>(right)));
#else
  // The low halves, then the high halves.
  return ((left << 16) >> 16) * ((right << 16) >> 16) + (left >> 16) * (right >> 16);
#endif
}
inline Ints dot_signed_bytes(Ints sum, const SignedBytes& left, Ints right) {
  const SignedBytes other = signed_bytes(right);
  return sum +
         (dot_words(left.parts[0], other.parts[0]) + dot_words(left.parts[1], other.parts[1]));
}
#endif

class SquareSum {
 public:
  void add(Floats value) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      sums_[lane] += static_cast<double>(value[lane]) * static_cast<double>(value[lane]);
    }
  }
  double total() const { return sums_[0] + sums_[1] + (sums_[2] + sums_[3]); }

 private:
  double sums_[4] = {};
};

/// Transposes a 4 x 4 block of 32-bit values.
inline void transpose(Ints (&rows)[4]) {
  const Ints step[4] = {
      __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5),
      __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7),
      __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5),
      __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7),
  };
  rows[0] = __builtin_shufflevector(step[0], step[2], 0, 1, 4, 5);
  rows[1] = __builtin_shufflevector(step[0], step[2], 2, 3, 6, 7);
  rows[2] = __builtin_shufflevector(step[1], step[3], 0, 1, 4, 5);
  rows[3] = __builtin_shufflevector(step[1], step[3], 2, 3, 6, 7);
}

}  // namespace
}  // namespace softmoe::kernels
