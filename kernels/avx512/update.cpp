#include "kernels/update.h"

#include "kernels/avx512/math.h"

namespace softmoe::kernels {

void adamw(const AdamWStep& step, int64_t count, const float* gradient, float* parameter,
           float* mean, float* mean_square) {
  const __m512 decay = _mm512_set1_ps(step.decay);
  const __m512 rate = _mm512_set1_ps(step.rate);
  const __m512 beta1 = _mm512_set1_ps(step.beta1);
  const __m512 beta2 = _mm512_set1_ps(step.beta2);
  const __m512 rest1 = _mm512_set1_ps(1.0F - step.beta1);
  const __m512 rest2 = _mm512_set1_ps(1.0F - step.beta2);
  const __m512 correction = _mm512_set1_ps(step.inverse_correction);
  const __m512 eps = _mm512_set1_ps(step.eps);
  const __m512 factor = _mm512_set1_ps(step.gradient_factor);
  for (int64_t at = 0; at < count; at += 16) {
    const __mmask16 mask = lanes16(at, count);
    const __m512 g = _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(mask, gradient + at));
    const __m512 m =
        _mm512_fmadd_ps(beta1, _mm512_maskz_loadu_ps(mask, mean + at), _mm512_mul_ps(rest1, g));
    const __m512 v = _mm512_fmadd_ps(beta2, _mm512_maskz_loadu_ps(mask, mean_square + at),
                                     _mm512_mul_ps(_mm512_mul_ps(rest2, g), g));
    const __m512 divisor = _mm512_fmadd_ps(_mm512_sqrt_ps(v), correction, eps);
    const __m512 kept = _mm512_mul_ps(decay, _mm512_maskz_loadu_ps(mask, parameter + at));
    _mm512_mask_storeu_ps(mean + at, mask, m);
    _mm512_mask_storeu_ps(mean_square + at, mask, v);
    _mm512_mask_storeu_ps(parameter + at, mask,
                          _mm512_fnmadd_ps(rate, _mm512_div_ps(m, divisor), kept));
  }
}

double sum_of_squares(const float* values, int64_t count) {
  __m512d low = _mm512_setzero_pd();
  __m512d high = _mm512_setzero_pd();
  for (int64_t at = 0; at < count; at += 16) {
    const __m512 value = _mm512_maskz_loadu_ps(lanes16(at, count), values + at);
    const __m512d first = _mm512_cvtps_pd(_mm512_castps512_ps256(value));
    const __m512d second = _mm512_cvtps_pd(_mm512_extractf32x8_ps(value, 1));
    low = _mm512_fmadd_pd(first, first, low);
    high = _mm512_fmadd_pd(second, second, high);
  }
  return _mm512_reduce_add_pd(_mm512_add_pd(low, high));
}

void multiply(float* values, int64_t count, float factor) {
  const __m512 by = _mm512_set1_ps(factor);
  for (int64_t at = 0; at < count; at += 16) {
    const __mmask16 mask = lanes16(at, count);
    _mm512_mask_storeu_ps(values + at, mask,
                          _mm512_mul_ps(by, _mm512_maskz_loadu_ps(mask, values + at)));
  }
}

}  // namespace softmoe::kernels
