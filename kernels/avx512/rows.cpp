#include "kernels/rows.h"

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

}  // namespace

void copy_row(Source row, int64_t dim, Target out) {
  for (int64_t channel = 0; channel < dim; channel += 16) {
    const __mmask16 mask = lanes16(channel, dim);
    store(out, channel, mask, load(row, channel, mask));
  }
}

void sum_rows(Source rows, const float* gate, const int64_t* index, int64_t count, int64_t dim,
              Target out) {
  for (int64_t channel = 0; channel < dim; channel += 16) {
    const __mmask16 mask = lanes16(channel, dim);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t term = 0; term < count; ++term) {
      const __m512 value = load(rows, index[term] * dim + channel, mask);
      sum = gate != nullptr ? _mm512_fmadd_ps(_mm512_set1_ps(gate[index[term]]), value, sum)
                            : _mm512_add_ps(sum, value);
    }
    store(out, channel, mask, sum);
  }
}

float scale_row(Source row, Source d_out, float gate, int64_t dim, Target d_row) {
  __m512 product = _mm512_setzero_ps();
  const __m512 factor = _mm512_set1_ps(gate);
  for (int64_t channel = 0; channel < dim; channel += 16) {
    const __mmask16 mask = lanes16(channel, dim);
    const __m512 gradient = load(d_out, channel, mask);
    product = _mm512_fmadd_ps(load(row, channel, mask), gradient, product);
    store(d_row, channel, mask, _mm512_mul_ps(factor, gradient));
  }
  return _mm512_reduce_add_ps(product);
}

}  // namespace softmoe::kernels
