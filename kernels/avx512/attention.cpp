#include "kernels/attention.h"

#include "kernels/avx512/fp32_gemm.h"
#include "kernels/avx512/math.h"

namespace softmoe::kernels {
namespace {

/// Scratch memory of one head; rows of `scores` and of transposed matrices are `padded` long.
struct Head {
  float* queries;     // [tokens, head_dim], normalised and scaled
  float* keys;        // [tokens, head_dim], normalised
  float* values;      // [tokens, head_dim]
  float* transposed;  // [head_dim, padded]
  float* scores;      // [tokens, padded]
  float* d_scores;    // [tokens, padded]
  float* d_mixed;     // [tokens, head_dim]
  float* result;      // [tokens, head_dim]
  float* statistics;  // [2, tokens, 2]: mean and inverse deviation of queries and keys
  int64_t padded;
};

Head divide(const AttentionShape& shape, float* scratch) {
  const int64_t matrix = shape.tokens * shape.head_dim;
  const int64_t padded = round_up(shape.tokens, 16);
  Head head{};
  head.padded = padded;
  const auto take = [&scratch](int64_t size) {
    float* part = scratch;
    scratch += round_up(size, 16);
    return part;
  };
  head.queries = take(matrix);
  head.keys = take(matrix);
  head.values = take(matrix);
  head.transposed = take(shape.head_dim * padded);
  head.scores = take(shape.tokens * padded);
  head.d_scores = take(shape.tokens * padded);
  head.d_mixed = take(matrix);
  head.result = take(matrix);
  head.statistics = take(4 * shape.tokens);
  return head;
}

/// fp32 rows of one head from bf16 rows `stride` apart.
void load_rows(const Bf16* source, int64_t stride, const AttentionShape& shape, float factor,
               float* target) {
  const __m512 scale = _mm512_set1_ps(factor);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t channel = 0; channel < shape.head_dim; channel += 16) {
      _mm512_storeu_ps(target + token * shape.head_dim + channel,
                       _mm512_mul_ps(scale, load_bf16(source + token * stride + channel)));
    }
  }
}

void store_rows(const float* source, const AttentionShape& shape, float factor, Bf16* target,
                int64_t stride) {
  const __m512 scale = _mm512_set1_ps(factor);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t channel = 0; channel < shape.head_dim; channel += 16) {
      store_bf16(target + token * stride + channel,
                 _mm512_mul_ps(scale, _mm512_loadu_ps(source + token * shape.head_dim + channel)));
    }
  }
}

/// LayerNorm of each row in place, times `weight` and `factor`; keeps mean and inverse deviation.
void normalize_rows(const AttentionShape& shape, const float* weight, float factor, float* rows,
                    float* statistics) {
  const auto count = static_cast<float>(shape.head_dim);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    float* row = rows + token * shape.head_dim;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t channel = 0; channel < shape.head_dim; channel += 16) {
      sum = _mm512_add_ps(sum, _mm512_loadu_ps(row + channel));
    }
    const float mean = _mm512_reduce_add_ps(sum) / count;
    __m512 squares = _mm512_setzero_ps();
    for (int64_t channel = 0; channel < shape.head_dim; channel += 16) {
      const __m512 off = _mm512_sub_ps(_mm512_loadu_ps(row + channel), _mm512_set1_ps(mean));
      squares = _mm512_fmadd_ps(off, off, squares);
    }
    const float inverse =
        1.0F / __builtin_sqrtf(_mm512_reduce_add_ps(squares) / count + shape.norm_eps);
    for (int64_t channel = 0; channel < shape.head_dim; channel += 16) {
      const __m512 off = _mm512_sub_ps(_mm512_loadu_ps(row + channel), _mm512_set1_ps(mean));
      const __m512 scale =
          _mm512_mul_ps(_mm512_loadu_ps(weight + channel), _mm512_set1_ps(inverse * factor));
      _mm512_storeu_ps(row + channel, _mm512_mul_ps(off, scale));
    }
    statistics[2 * token] = mean;
    statistics[2 * token + 1] = inverse;
  }
}

/// Gradient of normalize_rows (without its factor) in place of `d_rows`, for rows that were
/// `source` before; adds to `d_weight`.
void normalize_rows_backward(const AttentionShape& shape, const float* weight, const Bf16* source,
                             int64_t stride, const float* statistics, float* d_rows,
                             float* d_weight) {
  const auto count = static_cast<float>(shape.head_dim);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    float* row = d_rows + token * shape.head_dim;
    const __m512 mean = _mm512_set1_ps(statistics[2 * token]);
    const __m512 inverse = _mm512_set1_ps(statistics[2 * token + 1]);
    __m512 sum = _mm512_setzero_ps();
    __m512 product_sum = _mm512_setzero_ps();
    for (int64_t channel = 0; channel < shape.head_dim; channel += 16) {
      const __m512 unit =
          _mm512_mul_ps(_mm512_sub_ps(load_bf16(source + token * stride + channel), mean), inverse);
      const __m512 d_out = _mm512_loadu_ps(row + channel);
      const __m512 d_unit = _mm512_mul_ps(d_out, _mm512_loadu_ps(weight + channel));
      sum = _mm512_add_ps(sum, d_unit);
      product_sum = _mm512_fmadd_ps(d_unit, unit, product_sum);
      _mm512_storeu_ps(d_weight + channel,
                       _mm512_fmadd_ps(d_out, unit, _mm512_loadu_ps(d_weight + channel)));
    }
    const __m512 mean_d = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / count);
    const __m512 mean_product = _mm512_set1_ps(_mm512_reduce_add_ps(product_sum) / count);
    for (int64_t channel = 0; channel < shape.head_dim; channel += 16) {
      const __m512 unit =
          _mm512_mul_ps(_mm512_sub_ps(load_bf16(source + token * stride + channel), mean), inverse);
      const __m512 d_unit =
          _mm512_mul_ps(_mm512_loadu_ps(row + channel), _mm512_loadu_ps(weight + channel));
      const __m512 centred = _mm512_fnmadd_ps(unit, mean_product, _mm512_sub_ps(d_unit, mean_d));
      _mm512_storeu_ps(row + channel, _mm512_mul_ps(centred, inverse));
    }
  }
}

/// Softmax over the first `tokens` of each row; the rest of the row becomes zero.
void softmax_rows(const AttentionShape& shape, float* scores, int64_t padded) {
  const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
  for (int64_t token = 0; token < shape.tokens; ++token) {
    float* row = scores + token * padded;
    __m512 largest = lowest;
    for (int64_t key = 0; key < padded; key += 16) {
      largest = _mm512_mask_max_ps(largest, lanes16(key, shape.tokens), largest,
                                   _mm512_loadu_ps(row + key));
    }
    const __m512 shift = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    __m512 sum = _mm512_setzero_ps();
    for (int64_t key = 0; key < padded; key += 16) {
      const __m512 power = _mm512_maskz_mov_ps(
          lanes16(key, shape.tokens), exp_exact(_mm512_sub_ps(_mm512_loadu_ps(row + key), shift)));
      _mm512_storeu_ps(row + key, power);
      sum = _mm512_add_ps(sum, power);
    }
    const __m512 inverse = _mm512_set1_ps(1.0F / _mm512_reduce_add_ps(sum));
    for (int64_t key = 0; key < padded; key += 16) {
      _mm512_storeu_ps(row + key, _mm512_mul_ps(_mm512_loadu_ps(row + key), inverse));
    }
  }
}

/// d_scores = scores (d_scores - sum over the row of scores d_scores), in place.
void softmax_rows_backward(const AttentionShape& shape, const float* scores, float* d_scores,
                           int64_t padded) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const float* row = scores + token * padded;
    float* d_row = d_scores + token * padded;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t key = 0; key < padded; key += 16) {
      sum = _mm512_fmadd_ps(_mm512_loadu_ps(row + key), _mm512_loadu_ps(d_row + key), sum);
    }
    const __m512 total = _mm512_set1_ps(_mm512_reduce_add_ps(sum));
    for (int64_t key = 0; key < padded; key += 16) {
      const __m512 off = _mm512_sub_ps(_mm512_loadu_ps(d_row + key), total);
      _mm512_storeu_ps(d_row + key, _mm512_mul_ps(_mm512_loadu_ps(row + key), off));
    }
  }
}

/// Loads one head and computes its attention weights into head.scores.
void attention_weights(const AttentionShape& shape, const QkNorm& norm, const Bf16* qkv,
                       const Head& head) {
  const int64_t stride = 3 * shape.dim();
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(shape.head_dim));
  load_rows(qkv, stride, shape, norm.query != nullptr ? 1.0F : scale, head.queries);
  load_rows(qkv + shape.dim(), stride, shape, 1.0F, head.keys);
  load_rows(qkv + 2 * shape.dim(), stride, shape, 1.0F, head.values);
  if (norm.query != nullptr) {
    normalize_rows(shape, norm.query, scale, head.queries, head.statistics);
    normalize_rows(shape, norm.key, 1.0F, head.keys, head.statistics + 2 * shape.tokens);
  }
  fp32_transpose(head.keys, shape.head_dim, shape.tokens, shape.head_dim, head.transposed,
                 head.padded);
  fp32_gemm(shape.tokens, head.padded, shape.head_dim, {head.queries, shape.head_dim, 1},
            head.transposed, head.padded, head.scores, head.padded);
  softmax_rows(shape, head.scores, head.padded);
}

}  // namespace

int64_t attention_scratch(const AttentionShape& shape) {
  const int64_t padded = round_up(shape.tokens, 16);
  return 5 * round_up(shape.tokens * shape.head_dim, 16) + shape.head_dim * padded +
         2 * shape.tokens * padded + round_up(4 * shape.tokens, 16);
}

void attention_forward(const AttentionShape& shape, HeadRange heads, const QkNorm& norm,
                       const Bf16* qkv, Bf16* mixed, float* scratch) {
  const Head head = divide(shape, scratch);
  for (int64_t index = heads.first; index < heads.last; ++index) {
    const int64_t first = index * shape.head_dim;
    attention_weights(shape, norm, qkv + first, head);
    fp32_gemm(shape.tokens, shape.head_dim, shape.tokens, {head.scores, head.padded, 1},
              head.values, shape.head_dim, head.result, shape.head_dim);
    store_rows(head.result, shape, 1.0F, mixed + first, shape.dim());
  }
}

void attention_backward(const AttentionShape& shape, HeadRange heads, const QkNorm& norm,
                        const Bf16* qkv, const Bf16* d_mixed, Bf16* d_qkv, float* d_norm,
                        float* scratch) {
  const Head head = divide(shape, scratch);
  const int64_t stride = 3 * shape.dim();
  const int64_t head_dim = shape.head_dim;
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(head_dim));
  for (int64_t index = heads.first; index < heads.last; ++index) {
    const int64_t first = index * head_dim;
    float* const d_weights = d_norm != nullptr ? d_norm + index * 2 * head_dim : nullptr;
    attention_weights(shape, norm, qkv + first, head);
    load_rows(d_mixed + first, shape.dim(), shape, 1.0F, head.d_mixed);
    // Values: the weights transposed times d_mixed.
    fp32_gemm(shape.tokens, head_dim, shape.tokens, {head.scores, 1, head.padded}, head.d_mixed,
              head_dim, head.result, head_dim);
    store_rows(head.result, shape, 1.0F, d_qkv + 2 * shape.dim() + first, stride);
    // Scores.
    fp32_transpose(head.values, head_dim, shape.tokens, head_dim, head.transposed, head.padded);
    fp32_gemm(shape.tokens, head.padded, head_dim, {head.d_mixed, head_dim, 1}, head.transposed,
              head.padded, head.d_scores, head.padded);
    softmax_rows_backward(shape, head.scores, head.d_scores, head.padded);
    // Queries, whose scale belongs to the scores.
    fp32_gemm(shape.tokens, head_dim, shape.tokens, {head.d_scores, head.padded, 1}, head.keys,
              head_dim, head.result, head_dim);
    float query_factor = scale;
    if (norm.query != nullptr) {
      for (int64_t at = 0; at < shape.tokens * head_dim; at += 16) {
        _mm512_storeu_ps(head.result + at,
                         _mm512_mul_ps(_mm512_loadu_ps(head.result + at), _mm512_set1_ps(scale)));
      }
      query_factor = 1.0F;
      normalize_rows_backward(shape, norm.query, qkv + first, stride, head.statistics, head.result,
                              d_weights);
    }
    store_rows(head.result, shape, query_factor, d_qkv + first, stride);
    // Keys: the queries already carry the scale.
    fp32_gemm(shape.tokens, head_dim, shape.tokens, {head.d_scores, 1, head.padded}, head.queries,
              head_dim, head.result, head_dim);
    if (norm.key != nullptr) {
      normalize_rows_backward(shape, norm.key, qkv + shape.dim() + first, stride,
                              head.statistics + 2 * shape.tokens, head.result,
                              d_weights + head_dim);
    }
    store_rows(head.result, shape, 1.0F, d_qkv + shape.dim() + first, stride);
  }
}

}  // namespace softmoe::kernels
