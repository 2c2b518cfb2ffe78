#pragma once
/// Vector helpers of the AVX-512 kernels. Only for sources compiled with their own target flags:
/// everything has internal linkage, so that no code for AVX-512 replaces portable code elsewhere.

#include <immintrin.h>

#include <cstdint>

#include "kernels/types.h"

namespace softmoe::kernels {
namespace {

inline __m512 load_bf16(const Bf16* source) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

inline __m512 load_bf16(__mmask16 mask, const Bf16* source) {
  const __m256i bits = _mm256_maskz_loadu_epi16(mask, source);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

inline void store_bf16(Bf16* target, __m512 value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(target),
                      reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
}

inline void store_bf16(__mmask16 mask, Bf16* target, __m512 value) {
  _mm256_mask_storeu_epi16(target, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
}

/// 32 neighbouring columns.
inline void store_bf16(__mmask32 mask, Bf16* target, __m512 low, __m512 high) {
  _mm512_mask_storeu_epi16(target, mask, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

inline __m512 load(Source source, int64_t index, __mmask16 mask) {
  return source.bf16 != nullptr ? load_bf16(mask, source.bf16 + index)
                                : _mm512_maskz_loadu_ps(mask, source.fp32 + index);
}

/// Lanes of a vector of 16 that starts at `first` of `count` columns.
inline __mmask16 lanes16(int64_t first, int64_t count) {
  const int64_t left = count - first;
  return left >= 16 ? 0xFFFF : static_cast<__mmask16>((1U << (left > 0 ? left : 0)) - 1U);
}

inline __mmask32 lanes32(int64_t first, int64_t count) {
  const int64_t left = count - first;
  return left >= 32 ? 0xFFFFFFFFU : static_cast<__mmask32>((1U << (left > 0 ? left : 0)) - 1U);
}

/// 2^x to a relative error of 4e-6: enough for what is then rounded to bf16.
inline __m512 exp2_rough(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 part = _mm512_sub_ps(x, whole);  // in [-0.5, 0.5]
  __m512 value = _mm512_set1_ps(9.570151e-3F);
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(5.5917534e-2F));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(2.4022852e-1F));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(6.9312101e-1F));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(1.0000002F));
  return _mm512_scalef_ps(value, whole);
}

/// e^x to fp32 accuracy; NaN stays NaN, large negative values give 0.
inline __m512 exp_exact(__m512 x) {
  // maxps returns its second operand if one is NaN.
  const __m512 bounded = _mm512_max_ps(_mm512_set1_ps(-126.0F), x);
  const __m512 whole = _mm512_roundscale_ps(_mm512_mul_ps(bounded, _mm512_set1_ps(1.44269504F)),
                                            _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 part = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693359375F), bounded);
  part = _mm512_fnmadd_ps(whole, _mm512_set1_ps(-2.12194440e-4F), part);
  __m512 value = _mm512_set1_ps(1.0F / 720);
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(1.0F / 120));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(1.0F / 24));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(1.0F / 6));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(0.5F));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(1.0F));
  value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(value, whole);
}

/// 1 / x to a relative error of 1e-7.
inline __m512 reciprocal(__m512 x) {
  const __m512 rough = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(rough, _mm512_fnmadd_ps(x, rough, _mm512_set1_ps(2.0F)));
}

/// Transposes a 16 x 16 block of 32-bit values held in registers.
inline void transpose(__m512i (&rows)[16]) {
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
