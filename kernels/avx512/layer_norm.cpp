#include "kernels/layer_norm.h"

#include "kernels/avx512/math.h"

namespace softmoe::kernels {
namespace {

inline void store(Target target, int64_t index, __mmask16 mask, __m512 value) {
  if (target.bf16 != nullptr) {
    store_bf16(mask, target.bf16 + index, value);
  } else {
    _mm512_mask_storeu_ps(target.fp32 + index, mask, value);
  }
}

/// kFull: every vector is full, so that the masks fold away.
template <bool kFull>
inline __mmask16 lanes(int64_t first, int64_t count) {
  return kFull ? static_cast<__mmask16>(0xFFFF) : lanes16(first, count);
}

template <bool kFull>
void forward(const LayerNormShape& shape, Source x, Target y, float* statistics) {
  const auto count = static_cast<float>(shape.dim);
  for (int64_t row = 0; row < shape.rows; ++row) {
    const int64_t start = row * shape.dim;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      sum = _mm512_add_ps(sum, load(x, start + channel, lanes<kFull>(channel, shape.dim)));
    }
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / count);
    __m512 squares = _mm512_setzero_ps();
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      const __mmask16 mask = lanes<kFull>(channel, shape.dim);
      const __m512 off = _mm512_maskz_sub_ps(mask, load(x, start + channel, mask), mean);
      squares = _mm512_fmadd_ps(off, off, squares);
    }
    const float inverse = 1.0F / __builtin_sqrtf(_mm512_reduce_add_ps(squares) / count + shape.eps);
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      const __mmask16 mask = lanes<kFull>(channel, shape.dim);
      const __m512 off = _mm512_sub_ps(load(x, start + channel, mask), mean);
      const __m512 scale = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, shape.weight + channel),
                                         _mm512_set1_ps(inverse));
      const __m512 shift = shape.bias != nullptr ? _mm512_maskz_loadu_ps(mask, shape.bias + channel)
                                                 : _mm512_setzero_ps();
      store(y, start + channel, mask, _mm512_fmadd_ps(off, scale, shift));
    }
    statistics[2 * row] = _mm512_cvtss_f32(mean);
    statistics[2 * row + 1] = inverse;
  }
}

template <bool kFull>
void backward(const LayerNormShape& shape, Source x, const float* statistics, Source d_y,
              const float* d_skip, Target d_x, float* d_affine) {
  const auto count = static_cast<float>(shape.dim);
  for (int64_t row = 0; row < shape.rows; ++row) {
    const int64_t start = row * shape.dim;
    const __m512 mean = _mm512_set1_ps(statistics[2 * row]);
    const __m512 inverse = _mm512_set1_ps(statistics[2 * row + 1]);
    __m512 sum = _mm512_setzero_ps();
    __m512 product_sum = _mm512_setzero_ps();
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      const __mmask16 mask = lanes<kFull>(channel, shape.dim);
      const __m512 unit =
          _mm512_maskz_mul_ps(mask, _mm512_sub_ps(load(x, start + channel, mask), mean), inverse);
      const __m512 d_out = load(d_y, start + channel, mask);
      const __m512 d_unit =
          _mm512_mul_ps(d_out, _mm512_maskz_loadu_ps(mask, shape.weight + channel));
      sum = _mm512_add_ps(sum, d_unit);
      product_sum = _mm512_fmadd_ps(d_unit, unit, product_sum);
      float* d_weight = d_affine + channel;
      float* d_bias = d_affine + shape.dim + channel;
      _mm512_mask_storeu_ps(d_weight, mask,
                            _mm512_fmadd_ps(d_out, unit, _mm512_maskz_loadu_ps(mask, d_weight)));
      _mm512_mask_storeu_ps(d_bias, mask,
                            _mm512_add_ps(d_out, _mm512_maskz_loadu_ps(mask, d_bias)));
    }
    const __m512 mean_d = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / count);
    const __m512 mean_product = _mm512_set1_ps(_mm512_reduce_add_ps(product_sum) / count);
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      const __mmask16 mask = lanes<kFull>(channel, shape.dim);
      const __m512 unit =
          _mm512_mul_ps(_mm512_sub_ps(load(x, start + channel, mask), mean), inverse);
      const __m512 d_unit = _mm512_mul_ps(load(d_y, start + channel, mask),
                                          _mm512_maskz_loadu_ps(mask, shape.weight + channel));
      const __m512 centred = _mm512_fnmadd_ps(unit, mean_product, _mm512_sub_ps(d_unit, mean_d));
      const __m512 skip = d_skip != nullptr ? _mm512_maskz_loadu_ps(mask, d_skip + start + channel)
                                            : _mm512_setzero_ps();
      store(d_x, start + channel, mask, _mm512_fmadd_ps(centred, inverse, skip));
    }
  }
}

}  // namespace

void layer_norm_forward(const LayerNormShape& shape, Source x, Target y, float* statistics) {
  shape.dim % 16 == 0 ? forward<true>(shape, x, y, statistics)
                      : forward<false>(shape, x, y, statistics);
}

void layer_norm_backward(const LayerNormShape& shape, Source x, const float* statistics, Source d_y,
                         const float* d_skip, Target d_x, float* d_affine) {
  shape.dim % 16 == 0 ? backward<true>(shape, x, statistics, d_y, d_skip, d_x, d_affine)
                      : backward<false>(shape, x, statistics, d_y, d_skip, d_x, d_affine);
}

}  // namespace softmoe::kernels
