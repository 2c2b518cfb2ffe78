#pragma once
/// Activations. Internal linkage, as math.h.

#include <immintrin.h>

#include "kernels/avx512/math.h"
#include "kernels/gemm.h"
#include "kernels/packed_product.h"

namespace softmoe::kernels {
namespace {

/// x Phi(x), kGeluTanh or kGeluExact, and its derivative: for both x p and p + x p'.
template <Activation kGelu>
inline __m512 gelu(__m512 x, __m512* derivative) {
  const __m512 one = _mm512_set1_ps(1.0F);
  const __m512 square = _mm512_mul_ps(x, x);
  if constexpr (kGelu == Activation::kGeluTanh) {
    // (1 + tanh(u)) / 2 = 1 / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
    constexpr float kLinear = -2.0F * 0.79788456F * 1.44269504F;
    const __m512 factor =
        _mm512_fmadd_ps(square, _mm512_set1_ps(kLinear * 0.044715F), _mm512_set1_ps(kLinear));
    const __m512 power = exp2_rough(_mm512_mul_ps(x, factor));
    const __m512 share = _mm512_rcp14_ps(_mm512_add_ps(one, power));
    const __m512 value = _mm512_mul_ps(x, share);
    if (derivative != nullptr) {
      const __m512 slope = _mm512_fmadd_ps(square, _mm512_set1_ps(6.0F * 0.79788456F * 0.044715F),
                                           _mm512_set1_ps(2.0F * 0.79788456F));
      *derivative = _mm512_fmadd_ps(_mm512_mul_ps(value, slope), _mm512_sub_ps(one, share), share);
    }
    return value;
  } else {
    // erf by Abramowitz and Stegun 7.1.26 (error 1.5e-7), whose e^(-x^2 / 2) is the density too.
    const __m512 magnitude = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678F));
    const __m512 t = reciprocal(_mm512_fmadd_ps(magnitude, _mm512_set1_ps(0.3275911F), one));
    const __m512 density = exp2_rough(_mm512_mul_ps(square, _mm512_set1_ps(-0.72134752F)));
    __m512 tail = _mm512_set1_ps(1.061405429F);
    tail = _mm512_fmadd_ps(tail, t, _mm512_set1_ps(-1.453152027F));
    tail = _mm512_fmadd_ps(tail, t, _mm512_set1_ps(1.421413741F));
    tail = _mm512_fmadd_ps(tail, t, _mm512_set1_ps(-0.284496736F));
    tail = _mm512_fmadd_ps(tail, t, _mm512_set1_ps(0.254829592F));
    tail = _mm512_mul_ps(_mm512_mul_ps(tail, t), _mm512_mul_ps(density, _mm512_set1_ps(0.5F)));
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    const __m512 share = _mm512_mask_mov_ps(_mm512_sub_ps(one, tail), negative, tail);
    if (derivative != nullptr) {
      *derivative = _mm512_fmadd_ps(_mm512_mul_ps(x, density), _mm512_set1_ps(0.39894228F), share);
    }
    return _mm512_mul_ps(x, share);
  }
}

/// 1 / (1 + e^-x) to fp32 accuracy.
inline __m512 sigmoid_exact(__m512 x) {
  // Bounded, since the result would be 0 times infinity; minps returns its second operand, x, if
  // that is NaN.
  const __m512 power =
      exp_exact(_mm512_min_ps(_mm512_set1_ps(80.0F), _mm512_sub_ps(_mm512_setzero_ps(), x)));
  return reciprocal(_mm512_add_ps(_mm512_set1_ps(1.0F), power));
}

/// 1 / (1 + e^-x) to a relative error of 1e-4.
inline __m512 sigmoid_rough(__m512 x) {
  const __m512 power = exp2_rough(_mm512_mul_ps(x, _mm512_set1_ps(-1.44269504F)));
  return _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.0F), power));
}

/// SiLU: with kExact to fp32 accuracy, otherwise to that of bf16.
template <bool kExact>
inline __m512 silu(__m512 x) {
  return _mm512_mul_ps(x, kExact ? sigmoid_exact(x) : sigmoid_rough(x));
}

/// An activation of single values: with kExact to fp32 accuracy, otherwise to that of bf16.
template <Activation kActivation, bool kExact>
inline __m512 activate(__m512 x) {
  if constexpr (kActivation == Activation::kNone) {
    return x;
  } else if constexpr (kActivation == Activation::kGeluQuick) {
    const __m512 inner = _mm512_mul_ps(x, _mm512_set1_ps(1.702F));
    return _mm512_mul_ps(x, kExact ? sigmoid_exact(inner) : sigmoid_rough(inner));
  } else if constexpr (kActivation == Activation::kGeluExact) {
    return gelu<Activation::kGeluExact>(x, nullptr);
  } else if constexpr (kExact) {
    // (1 + tanh(u)) / 2 = 1 / (1 + e^-2u).
    const __m512 factor =
        _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(2.0F * 0.79788456F * 0.044715F),
                        _mm512_set1_ps(2.0F * 0.79788456F));
    return _mm512_mul_ps(x, sigmoid_exact(_mm512_mul_ps(x, factor)));
  } else {
    return gelu<Activation::kGeluTanh>(x, nullptr);
  }
}

}  // namespace
}  // namespace softmoe::kernels
