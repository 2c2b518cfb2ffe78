#pragma once
/// Vectors of 16 lanes: AVX-512 F, BW, VL and DQ, with BF16 and VNNI if the source is compiled for
/// them. Internal linkage, so that no code for this level replaces code of another one.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/types.h"

namespace softmoe::kernels {
namespace {

using Floats = __m512;
using Ints = __m512i;
/// One bit per lane.
using Mask = __mmask16;
/// One bit per lane of two vectors.
using PairMask = __mmask32;

inline constexpr int64_t kLanes = 16;
/// Vectors of sums that fit into the registers beside the factors of a product, and beside factors
/// that take two registers (steps.h).
inline constexpr int kSumVectors = 28;
inline constexpr int kFewSumVectors = 24;

// Masks: the lanes of a vector that starts at `first` of `count` columns.
inline Mask lanes(int64_t first, int64_t count) {
  const int64_t left = count - first;
  return left >= 16 ? 0xFFFF : static_cast<Mask>((1U << (left > 0 ? left : 0)) - 1U);
}
inline PairMask pair_lanes(int64_t first, int64_t count) {
  const int64_t left = count - first;
  return left >= 32 ? 0xFFFFFFFFU : static_cast<PairMask>((1U << (left > 0 ? left : 0)) - 1U);
}
inline Mask all_lanes() { return 0xFFFF; }
inline Mask low_lanes(PairMask mask) { return static_cast<Mask>(mask); }
inline Mask high_lanes(PairMask mask) { return static_cast<Mask>(mask >> 16); }
inline bool is_empty(Mask mask) { return mask == 0; }

// Memory. Lanes that are masked out are zero, and their memory is neither read nor written.
inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline Floats load(Mask mask, const float* from) { return _mm512_maskz_loadu_ps(mask, from); }
inline void store(float* to, Floats value) { _mm512_storeu_ps(to, value); }
inline void store(float* to, Mask mask, Floats value) { _mm512_mask_storeu_ps(to, mask, value); }
/// Past the caches; `to` is a multiple of 64 bytes.
inline void stream(float* to, Floats value) { _mm512_stream_ps(to, value); }
inline void end_streams() { _mm_sfence(); }
inline Ints load_ints(const void* from) { return _mm512_loadu_si512(from); }
inline Ints load_ints(Mask mask, const void* from) { return _mm512_maskz_loadu_epi32(mask, from); }
inline void store_ints(void* to, Ints value) { _mm512_storeu_si512(to, value); }
inline void store_ints(void* to, Mask mask, Ints value) {
  _mm512_mask_storeu_epi32(to, mask, value);
}
inline void fetch_line(const void* line) {
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(line)));
}
/// Into the second-level cache.
inline void fetch_line_far(const void* line) {
  asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(line)));
}

// Arithmetic.
inline Floats zero() { return _mm512_setzero_ps(); }
inline Floats set1(float value) { return _mm512_set1_ps(value); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
/// a b + c.
inline Floats fmadd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
/// c - a b.
inline Floats fnmadd(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }
inline Floats sqrt(Floats a) { return _mm512_sqrt_ps(a); }
inline Floats abs(Floats a) { return _mm512_abs_ps(a); }
/// The second operand if one is NaN.
inline Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats round(Floats a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/// value 2^whole for a whole number.
inline Floats scale_by_power(Floats value, Floats whole) { return _mm512_scalef_ps(value, whole); }
/// 1 / x to a relative error of 4e-4.
inline Floats rough_reciprocal(Floats x) { return _mm512_rcp14_ps(x); }
/// Lanes that are masked out become zero.
inline Floats keep(Mask mask, Floats value) { return _mm512_maskz_mov_ps(mask, value); }
/// Lanes of `negative` where x < 0, and of `other` elsewhere.
inline Floats choose_by_sign(Floats x, Floats negative, Floats other) {
  return _mm512_mask_mov_ps(other, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ),
                            negative);
}
/// The larger of `a` and those lanes of `b` that are not masked out.
inline Floats max(Mask mask, Floats a, Floats b) { return _mm512_mask_max_ps(a, mask, a, b); }
inline float first_lane(Floats a) { return _mm512_cvtss_f32(a); }
inline float sum_of(Floats a) { return _mm512_reduce_add_ps(a); }
inline float max_of(Floats a) { return _mm512_reduce_max_ps(a); }
inline float min_of(Floats a) { return _mm512_reduce_min_ps(a); }

// Integers of 32 bits.
inline Ints zero_ints() { return _mm512_setzero_si512(); }
inline Ints set1_ints(int32_t value) { return _mm512_set1_epi32(value); }
inline Ints set1_bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
inline Ints as_ints(Floats a) { return _mm512_castps_si512(a); }
inline Floats as_floats(Ints a) { return _mm512_castsi512_ps(a); }
/// Rounded to the nearest; for magnitudes below 2^22.
inline Ints to_ints(Floats a) { return _mm512_cvtps_epi32(a); }
inline Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
inline Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
inline Ints bit_and(Ints a, Ints b) { return _mm512_and_si512(a, b); }
inline Ints bit_xor(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
inline Ints bit_or(Ints a, Ints b) { return _mm512_or_si512(a, b); }
template <int kBits>
inline Ints shift_left(Ints a) {
  return _mm512_slli_epi32(a, kBits);
}
/// Fills with zeros.
template <int kBits>
inline Ints shift_right(Ints a) {
  return _mm512_srli_epi32(a, kBits);
}
/// Fills with the sign.
template <int kBits>
inline Ints shift_right_signed(Ints a) {
  return _mm512_srai_epi32(a, kBits);
}
/// `count` plus 1 where value > bound.
inline Ints count_above(Ints count, Floats value, float bound) {
  const Mask above = _mm512_cmp_ps_mask(value, set1(bound), _CMP_GT_OQ);
  return _mm512_mask_add_epi32(count, above, count, set1_ints(1));
}
/// table[index modulo 8].
inline Floats lookup8(const float (&table)[8], Ints index) {
  return _mm512_permutexvar_ps(index, _mm512_broadcast_f32x8(_mm256_loadu_ps(table)));
}
inline int32_t sum_of(Ints a) { return _mm512_reduce_add_epi32(a); }
inline Ints clamp(Ints a, int32_t low, int32_t high) {
  return _mm512_min_epi32(_mm512_max_epi32(a, set1_ints(low)), set1_ints(high));
}
/// One byte per lane, at least 0.
inline Ints load_bytes(Mask mask, const uint8_t* from) {
  return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from));
}
/// The low byte of each lane.
inline void store_bytes(void* to, Ints value) {
  _mm_storeu_si128(static_cast<__m128i*>(to), _mm512_cvtepi32_epi8(value));
}
inline void store_bytes(void* to, Mask mask, Ints value) {
  _mm_mask_storeu_epi8(to, mask, _mm512_cvtepi32_epi8(value));
}

/// Lanes of one row of an eight-column tile: part kPart of a vector.
inline constexpr int64_t kTileLanes = 8;
template <int kPart>
inline void store_tile_lanes(Unit* to, Ints value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_extracti64x4_epi64(value, kPart));
}

// bf16: the upper half of an fp32, rounded to the nearest. The instruction of BF16 takes values
// below 2^-126 for zero.
/// The low halves of the lanes.
inline Floats low_bf16(Ints pairs) { return as_floats(shift_left<16>(pairs)); }
/// The high halves.
inline Floats high_bf16(Ints pairs) { return as_floats(bit_and(pairs, set1_ints(-65536))); }
/// bf16 values in the low halves of the lanes.
inline Ints load_words(Mask mask, const Bf16* from) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
}
inline Floats load_bf16(const Bf16* from) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return low_bf16(_mm512_cvtepu16_epi32(bits));
}
inline Floats load_bf16(Mask mask, const Bf16* from) { return low_bf16(load_words(mask, from)); }
/// Neighbours as pairs.
inline Ints load_pairs(PairMask mask, const Bf16* from) {
  return _mm512_maskz_loadu_epi16(mask, from);
}

#ifdef __AVX512BF16__
inline __m256i rounded_words(Floats value) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value));
}
/// Two vectors as neighbours.
inline Ints neighbours_bf16(Floats first, Floats second) {
  return reinterpret_cast<Ints>(_mm512_cvtne2ps_pbh(second, first));
}
#else
inline Ints rounded_low_halves(Floats value) {
  const Ints bits = as_ints(value);
  const Ints odd = bit_and(shift_right<16>(bits), set1_ints(1));
  const Ints rounded = shift_right<16>(add(bits, add(odd, set1_ints(0x7FFF))));
  const Ints quiet = bit_or(shift_right<16>(bits), set1_ints(0x40));
  return _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q), quiet);
}
inline __m256i rounded_words(Floats value) {
  return _mm512_cvtepi32_epi16(rounded_low_halves(value));
}
inline Ints neighbours_bf16(Floats first, Floats second) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(rounded_words(first)), rounded_words(second), 1);
}
#endif

/// Lanes that hold `low` in their low half and `high` in their high half.
inline Ints pair_bf16(Floats low, Floats high) {
#ifdef __AVX512BF16__
  // The values of one row, then those of the other, alternate.
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, neighbours_bf16(low, high));
#else
  return bit_or(rounded_low_halves(low), shift_left<16>(rounded_low_halves(high)));
#endif
}
inline void store_bf16(Bf16* to, Floats value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), rounded_words(value));
}
inline void store_bf16(Bf16* to, Mask mask, Floats value) {
  _mm256_mask_storeu_epi16(to, mask, rounded_words(value));
}
/// Two vectors of neighbouring columns.
inline void store_bf16(Bf16* to, PairMask mask, Floats low, Floats high) {
  _mm512_mask_storeu_epi16(to, mask, neighbours_bf16(low, high));
}

// Products.
#ifdef __AVX512BF16__
#define SOFTMOE_BF16_PRODUCTS
/// sum + the products of two neighbouring bf16.
inline Floats dot_bf16(Floats sum, Ints left, Ints right) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left), reinterpret_cast<__m512bh>(right));
}
#endif
#ifdef __AVX512VNNI__
#define SOFTMOE_INT8_PRODUCTS
/// sum + the products of four neighbouring bytes: unsigned by signed.
inline Ints dot_bytes(Ints sum, Ints left, Ints right) {
  return _mm512_dpbusd_epi32(sum, left, right);
}
#endif
/// Signed bytes as factors of dot_signed_bytes().
struct SignedBytes {
  Ints magnitudes;
  __mmask64 negative;
};
inline SignedBytes signed_bytes(Ints bytes) {
  return {_mm512_abs_epi8(bytes), _mm512_movepi8_mask(bytes)};
}
/// `sum` and the sums of the products of four neighbouring bytes, all signed, of which `right` is
/// at least -127.
inline Ints dot_signed_bytes(Ints sum, const SignedBytes& left, Ints right) {
  const Ints turned = _mm512_mask_sub_epi8(right, left.negative, _mm512_setzero_si512(), right);
  const Ints words = _mm512_maddubs_epi16(left.magnitudes, turned);
  return add(sum, _mm512_madd_epi16(words, _mm512_set1_epi16(1)));
}

/// A sum of squares in double precision.
class SquareSum {
 public:
  void add(Floats value) {
    const __m512d first = _mm512_cvtps_pd(_mm512_castps512_ps256(value));
    const __m512d second = _mm512_cvtps_pd(_mm512_extractf32x8_ps(value, 1));
    low_ = _mm512_fmadd_pd(first, first, low_);
    high_ = _mm512_fmadd_pd(second, second, high_);
  }
  double total() const { return _mm512_reduce_add_pd(_mm512_add_pd(low_, high_)); }

 private:
  __m512d low_ = _mm512_setzero_pd();
  __m512d high_ = _mm512_setzero_pd();
};

/// Transposes a 16 x 16 block of 32-bit values held in registers.
inline void transpose(Ints (&rows)[16]) {
  __m512i step[16];
#pragma GCC unroll 8
  for (int pair = 0; pair < 8; ++pair) {
    step[2 * pair] = _mm512_unpacklo_epi32(rows[2 * pair], rows[2 * pair + 1]);
    step[2 * pair + 1] = _mm512_unpackhi_epi32(rows[2 * pair], rows[2 * pair + 1]);
  }
#pragma GCC unroll 4
  for (int group = 0; group < 16; group += 4) {
    rows[group] = _mm512_unpacklo_epi64(step[group], step[group + 2]);
    rows[group + 1] = _mm512_unpackhi_epi64(step[group], step[group + 2]);
    rows[group + 2] = _mm512_unpacklo_epi64(step[group + 1], step[group + 3]);
    rows[group + 3] = _mm512_unpackhi_epi64(step[group + 1], step[group + 3]);
  }
  // Lane quarters of four groups: a 4 x 4 transposition of 128-bit parts.
#pragma GCC unroll 4
  for (int row = 0; row < 4; ++row) {
    const __m512i low_even = _mm512_shuffle_i32x4(rows[row], rows[row + 4], 0x88);
    const __m512i low_odd = _mm512_shuffle_i32x4(rows[row], rows[row + 4], 0xDD);
    const __m512i high_even = _mm512_shuffle_i32x4(rows[row + 8], rows[row + 12], 0x88);
    const __m512i high_odd = _mm512_shuffle_i32x4(rows[row + 8], rows[row + 12], 0xDD);
    step[row] = _mm512_shuffle_i32x4(low_even, high_even, 0x88);
    step[row + 4] = _mm512_shuffle_i32x4(low_odd, high_odd, 0x88);
    step[row + 8] = _mm512_shuffle_i32x4(low_even, high_even, 0xDD);
    step[row + 12] = _mm512_shuffle_i32x4(low_odd, high_odd, 0xDD);
  }
#pragma GCC unroll 16
  for (int row = 0; row < 16; ++row) {
    rows[row] = step[row];
  }
}

}  // namespace
}  // namespace softmoe::kernels
