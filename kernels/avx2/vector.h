#pragma once
/// Vectors of 8 lanes: AVX2, FMA and F16C, with VNNI if the source is compiled for it. The
/// functions are described in kernels/avx512/vector.h. Internal linkage, so that no code for this
/// level replaces code of another one.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/types.h"

namespace softmoe::kernels {
namespace {

using Floats = __m256;
using Ints = __m256i;
/// All bits of a lane, or none.
struct Mask {
  Ints bits;
  int64_t count;  ///< lanes from the first on
};
struct PairMask {
  int64_t count;
};

inline constexpr int64_t kLanes = 8;
inline constexpr int kSumVectors = 12;
inline constexpr int kFewSumVectors = 8;

// Masks.
inline Mask first_lanes(int64_t count) {
  const Ints index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const int64_t bounded = count < 0 ? 0 : count > 8 ? 8 : count;
  return {_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(bounded)), index), bounded};
}
inline Mask lanes(int64_t first, int64_t count) { return first_lanes(count - first); }
inline PairMask pair_lanes(int64_t first, int64_t count) {
  const int64_t left = count - first;
  return {left < 0 ? 0 : left > 16 ? 16 : left};
}
inline Mask all_lanes() { return {_mm256_set1_epi32(-1), 8}; }
inline Mask low_lanes(PairMask mask) { return first_lanes(mask.count); }
inline Mask high_lanes(PairMask mask) { return first_lanes(mask.count - 8); }
inline bool is_empty(Mask mask) { return mask.count == 0; }

// Memory.
inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline Floats load(Mask mask, const float* from) { return _mm256_maskload_ps(from, mask.bits); }
inline void store(float* to, Floats value) { _mm256_storeu_ps(to, value); }
inline void store(float* to, Mask mask, Floats value) {
  // Stores under a mask are slow on some processors.
  if (mask.count == 8) {
    _mm256_storeu_ps(to, value);
  } else {
    _mm256_maskstore_ps(to, mask.bits, value);
  }
}
inline void stream(float* to, Floats value) { _mm256_stream_ps(to, value); }
inline void end_streams() { _mm_sfence(); }
inline Ints load_ints(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
inline Ints load_ints(Mask mask, const void* from) {
  return _mm256_maskload_epi32(static_cast<const int*>(from), mask.bits);
}
inline void store_ints(void* to, Ints value) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}
inline void fetch_line(const void* line) {
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(line)));
}
inline void fetch_line_far(const void* line) {
  asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(line)));
}

// Arithmetic.
inline Floats zero() { return _mm256_setzero_ps(); }
inline Floats set1(float value) { return _mm256_set1_ps(value); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats fmadd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats fnmadd(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
inline Floats sqrt(Floats a) { return _mm256_sqrt_ps(a); }
inline Floats abs(Floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
inline Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats round(Floats a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/// Powers below 2^-126 count as zero, those above 2^127 as infinite.
inline Floats scale_by_power(Floats value, Floats whole) {
  const Floats bounded =
      _mm256_min_ps(_mm256_set1_ps(128.0F), _mm256_max_ps(_mm256_set1_ps(-127.0F), whole));
  const Ints exponent = _mm256_add_epi32(_mm256_cvtps_epi32(bounded), _mm256_set1_epi32(127));
  return _mm256_mul_ps(value, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}
inline Floats rough_reciprocal(Floats x) { return _mm256_rcp_ps(x); }
inline Floats keep(Mask mask, Floats value) {
  return _mm256_and_ps(_mm256_castsi256_ps(mask.bits), value);
}
inline Floats choose_by_sign(Floats x, Floats negative, Floats other) {
  return _mm256_blendv_ps(other, negative, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ));
}
inline Floats max(Mask mask, Floats a, Floats b) {
  return _mm256_blendv_ps(a, _mm256_max_ps(a, b), _mm256_castsi256_ps(mask.bits));
}
inline float first_lane(Floats a) { return _mm256_cvtss_f32(a); }
inline float sum_of(Floats a) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
inline float max_of(Floats a) {
  __m128 largest = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
  return _mm_cvtss_f32(_mm_max_ss(largest, _mm_movehdup_ps(largest)));
}
inline float min_of(Floats a) {
  __m128 smallest = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  smallest = _mm_min_ps(smallest, _mm_movehl_ps(smallest, smallest));
  return _mm_cvtss_f32(_mm_min_ss(smallest, _mm_movehdup_ps(smallest)));
}

// Integers of 32 bits.
inline Ints zero_ints() { return _mm256_setzero_si256(); }
inline Ints set1_ints(int32_t value) { return _mm256_set1_epi32(value); }
inline Ints set1_bytes(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
inline Ints as_ints(Floats a) { return _mm256_castps_si256(a); }
inline Floats as_floats(Ints a) { return _mm256_castsi256_ps(a); }
inline Ints to_ints(Floats a) { return _mm256_cvtps_epi32(a); }
inline Floats to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }
inline Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
inline Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
inline Ints bit_and(Ints a, Ints b) { return _mm256_and_si256(a, b); }
inline Ints bit_xor(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
inline Ints bit_or(Ints a, Ints b) { return _mm256_or_si256(a, b); }
template <int kBits>
inline Ints shift_left(Ints a) {
  return _mm256_slli_epi32(a, kBits);
}
template <int kBits>
inline Ints shift_right(Ints a) {
  return _mm256_srli_epi32(a, kBits);
}
template <int kBits>
inline Ints shift_right_signed(Ints a) {
  return _mm256_srai_epi32(a, kBits);
}
inline Ints count_above(Ints count, Floats value, float bound) {
  return _mm256_sub_epi32(count,
                          _mm256_castps_si256(_mm256_cmp_ps(value, set1(bound), _CMP_GT_OQ)));
}
inline Floats lookup8(const float (&table)[8], Ints index) {
  return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
}
inline int32_t sum_of(Ints a) {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1)));
}
inline Ints clamp(Ints a, int32_t low, int32_t high) {
  return _mm256_min_epi32(_mm256_max_epi32(a, set1_ints(low)), set1_ints(high));
}
inline Ints load_bytes(Mask mask, const uint8_t* from) {
  int64_t bytes = 0;
  if (mask.count == 8) {
    std::memcpy(&bytes, from, 8);
  } else {
    std::memcpy(&bytes, from, static_cast<size_t>(mask.count));
  }
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
}
inline __m128i low_bytes(Ints value) {
  const Ints bytes = _mm256_shuffle_epi8(
      value, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8,
                              12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}
inline void store_bytes(void* to, Ints value) {
  _mm_storel_epi64(static_cast<__m128i*>(to), low_bytes(value));
}
inline void store_bytes(void* to, Mask mask, Ints value) {
  char bytes[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), low_bytes(value));
  std::memcpy(to, bytes, static_cast<size_t>(mask.count));
}
inline constexpr int64_t kTileLanes = 8;
template <int kPart>
inline void store_tile_lanes(Unit* to, Ints value) {
  static_assert(kPart == 0);
  store_ints(to, value);
}

// bf16.
inline Floats low_bf16(Ints pairs) { return as_floats(shift_left<16>(pairs)); }
inline Floats high_bf16(Ints pairs) { return as_floats(bit_and(pairs, set1_ints(-65536))); }
/// Words of which there may be fewer than a vector.
template <int64_t kWords>
struct Words {
  Words(const Bf16* from, int64_t count) {
    std::memcpy(values, from, static_cast<size_t>(count) * sizeof(Bf16));
  }
  Bf16 values[kWords] = {};
};
inline Ints load_words(const Bf16* from) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Ints load_words(Mask mask, const Bf16* from) {
  return mask.count == 8 ? load_words(from) : load_words(Words<8>(from, mask.count).values);
}
inline Floats load_bf16(const Bf16* from) { return low_bf16(load_words(from)); }
inline Floats load_bf16(Mask mask, const Bf16* from) { return low_bf16(load_words(mask, from)); }
inline Ints load_pairs(PairMask mask, const Bf16* from) {
  return mask.count == 16 ? load_ints(from) : load_ints(Words<16>(from, mask.count).values);
}
inline Ints rounded_low_halves(Floats value) {
  const Ints bits = as_ints(value);
  const Ints odd = bit_and(shift_right<16>(bits), set1_ints(1));
  const Ints rounded = shift_right<16>(add(bits, add(odd, set1_ints(0x7FFF))));
  const Ints quiet = bit_or(shift_right<16>(bits), set1_ints(0x40));
  return _mm256_blendv_epi8(rounded, quiet,
                            _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q)));
}
inline Ints neighbours_bf16(Floats first, Floats second) {
  const Ints mixed = _mm256_packus_epi32(rounded_low_halves(first), rounded_low_halves(second));
  return _mm256_permute4x64_epi64(mixed, 0xD8);
}
inline __m128i rounded_words(Floats value) {
  return _mm256_castsi256_si128(neighbours_bf16(value, value));
}
inline Ints pair_bf16(Floats low, Floats high) {
  return bit_or(rounded_low_halves(low), shift_left<16>(rounded_low_halves(high)));
}
inline void store_words(Bf16* to, const void* words, int64_t count) {
  std::memcpy(to, words, static_cast<size_t>(count) * sizeof(Bf16));
}
inline void store_bf16(Bf16* to, Floats value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), rounded_words(value));
}
inline void store_bf16(Bf16* to, Mask mask, Floats value) {
  if (mask.count == 8) {
    store_bf16(to, value);
    return;
  }
  const __m128i words = rounded_words(value);
  store_words(to, &words, mask.count);
}
inline void store_bf16(Bf16* to, PairMask mask, Floats low, Floats high) {
  const Ints words = neighbours_bf16(low, high);
  if (mask.count == 16) {
    store_ints(to, words);
    return;
  }
  store_words(to, &words, mask.count);
}

// Products.
#ifdef __AVXVNNI__
#define SOFTMOE_INT8_PRODUCTS
inline Ints dot_bytes(Ints sum, Ints left, Ints right) {
  return _mm256_dpbusd_avx_epi32(sum, left, right);
}
#endif
struct SignedBytes {
  Ints magnitudes;
  Ints bytes;
};
inline SignedBytes signed_bytes(Ints bytes) { return {_mm256_abs_epi8(bytes), bytes}; }
inline Ints dot_signed_bytes(Ints sum, const SignedBytes& left, Ints right) {
  const Ints turned = _mm256_sign_epi8(right, left.bytes);
  const Ints words = _mm256_maddubs_epi16(left.magnitudes, turned);
  return add(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
}

class SquareSum {
 public:
  void add(Floats value) {
    const __m256d first = _mm256_cvtps_pd(_mm256_castps256_ps128(value));
    const __m256d second = _mm256_cvtps_pd(_mm256_extractf128_ps(value, 1));
    low_ = _mm256_fmadd_pd(first, first, low_);
    high_ = _mm256_fmadd_pd(second, second, high_);
  }
  double total() const {
    double parts[4];
    _mm256_storeu_pd(parts, _mm256_add_pd(low_, high_));
    return parts[0] + parts[1] + (parts[2] + parts[3]);
  }

 private:
  __m256d low_ = _mm256_setzero_pd();
  __m256d high_ = _mm256_setzero_pd();
};

/// Transposes an 8 x 8 block of 32-bit values held in registers.
inline void transpose(Ints (&rows)[8]) {
  Ints step[8];
#pragma GCC unroll 4
  for (int pair = 0; pair < 4; ++pair) {
    step[2 * pair] = _mm256_unpacklo_epi32(rows[2 * pair], rows[2 * pair + 1]);
    step[2 * pair + 1] = _mm256_unpackhi_epi32(rows[2 * pair], rows[2 * pair + 1]);
  }
#pragma GCC unroll 2
  for (int group = 0; group < 8; group += 4) {
    rows[group] = _mm256_unpacklo_epi64(step[group], step[group + 2]);
    rows[group + 1] = _mm256_unpackhi_epi64(step[group], step[group + 2]);
    rows[group + 2] = _mm256_unpacklo_epi64(step[group + 1], step[group + 3]);
    rows[group + 3] = _mm256_unpackhi_epi64(step[group + 1], step[group + 3]);
  }
#pragma GCC unroll 4
  for (int row = 0; row < 4; ++row) {
    const Ints low = _mm256_permute2x128_si256(rows[row], rows[row + 4], 0x20);
    const Ints high = _mm256_permute2x128_si256(rows[row], rows[row + 4], 0x31);
    rows[row] = low;
    rows[row + 4] = high;
  }
}

}  // namespace
}  // namespace softmoe::kernels
