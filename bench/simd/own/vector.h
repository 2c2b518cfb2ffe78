#pragma once
/// Vectors of floats, as wide as the registers of the level SOFTMOE_LEVEL for which a source is
/// compiled. AVX-512 and AVX2 use intrinsics; all other processors use the vector extension of gcc
/// and clang with 16 bytes (SSE2, NEON). Arithmetic operators come from that extension everywhere.

#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace softmoe::simd::SOFTMOE_LEVEL {

#if defined(__AVX512F__)

using Floats = __m512;

inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
inline Floats broadcast(float x) { return _mm512_set1_ps(x); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline float sum_of_lanes(Floats x) { return _mm512_reduce_add_ps(x); }
inline float max_of_lanes(Floats x) { return _mm512_reduce_max_ps(x); }

#elif defined(__AVX2__) && defined(__FMA__)

using Floats = __m256;

inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline void store(float* to, Floats x) { _mm256_storeu_ps(to, x); }
inline Floats broadcast(float x) { return _mm256_set1_ps(x); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }

inline float sum_of_lanes(Floats x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline float max_of_lanes(Floats x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

#else

using Floats = float __attribute__((vector_size(16)));

inline Floats load(const float* from) {
  Floats x;
  __builtin_memcpy(&x, from, sizeof(x));
  return x;
}
inline void store(float* to, Floats x) { __builtin_memcpy(to, &x, sizeof(x)); }
inline Floats broadcast(float x) { return Floats{x, x, x, x}; }
// The compilers contract this to one instruction if the processor has it.
inline Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
inline Floats max(Floats a, Floats b) { return a > b ? a : b; }
inline float sum_of_lanes(Floats x) { return (x[0] + x[1]) + (x[2] + x[3]); }
inline float max_of_lanes(Floats x) {
  const float low = x[0] > x[1] ? x[0] : x[1];
  const float high = x[2] > x[3] ? x[2] : x[3];
  return low > high ? low : high;
}

#endif

inline constexpr int kLanes = sizeof(Floats) / sizeof(float);

using Bits = uint32_t __attribute__((vector_size(sizeof(Floats))));

/// e^x for x <= 0 to a relative error of 2e-7; below -87 it is e^-87, about 1e-38.
inline Floats exp_of_negative(Floats x) {
  // Adding 1.5 * 2^23 rounds to an integer, which then is in the lowest bits.
  const Floats shift = broadcast(12582912.0F);
  const Floats bounded = max(x, broadcast(-87.0F));
  const Floats shifted = multiply_add(bounded, broadcast(1.44269504F), shift);
  const Floats whole = shifted - shift;
  Floats part = multiply_add(whole, broadcast(-0.693359375F), bounded);
  part = multiply_add(whole, broadcast(2.12194440e-4F), part);
  Floats value = broadcast(1.0F / 720);
  value = multiply_add(value, part, broadcast(1.0F / 120));
  value = multiply_add(value, part, broadcast(1.0F / 24));
  value = multiply_add(value, part, broadcast(1.0F / 6));
  value = multiply_add(value, part, broadcast(0.5F));
  value = multiply_add(value, part, broadcast(1.0F));
  value = multiply_add(value, part, broadcast(1.0F));
  return value * reinterpret_cast<Floats>((reinterpret_cast<Bits>(shifted) << 23) + 0x3F800000U);
}

}  // namespace softmoe::simd::SOFTMOE_LEVEL
