#include "kernels/simd/fp32_gemm.h"
#include "kernels/simd/groups.h"
#include "kernels/simd/math.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
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

/// fp32 rows of one head from rows `stride` apart.
void load_rows(Source source, int64_t stride, const AttentionShape& shape, float factor,
               float* target) {
  const Floats scale = set1(factor);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t channel = 0; channel < shape.head_dim; channel += kLanes) {
      store(target + token * shape.head_dim + channel,
            mul(scale, load(source, token * stride + channel)));
    }
  }
}

void store_rows(const float* source, const AttentionShape& shape, float factor, Target target,
                int64_t stride) {
  const Floats scale = set1(factor);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t channel = 0; channel < shape.head_dim; channel += kLanes) {
      store(target, token * stride + channel,
            mul(scale, load(source + token * shape.head_dim + channel)));
    }
  }
}

/// LayerNorm of each row in place, times `weight` and `factor`; keeps mean and inverse deviation.
void normalize_rows(const AttentionShape& shape, const float* weight, float factor, float* rows,
                    float* statistics) {
  const auto count = static_cast<float>(shape.head_dim);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    float* row = rows + token * shape.head_dim;
    Floats sum = zero();
    for (int64_t channel = 0; channel < shape.head_dim; channel += kLanes) {
      sum = add(sum, load(row + channel));
    }
    const float mean = sum_of(sum) / count;
    Floats squares = zero();
    for (int64_t channel = 0; channel < shape.head_dim; channel += kLanes) {
      const Floats off = sub(load(row + channel), set1(mean));
      squares = fmadd(off, off, squares);
    }
    const float inverse = 1.0F / __builtin_sqrtf(sum_of(squares) / count + shape.norm_eps);
    for (int64_t channel = 0; channel < shape.head_dim; channel += kLanes) {
      const Floats off = sub(load(row + channel), set1(mean));
      const Floats scale = mul(load(weight + channel), set1(inverse * factor));
      store(row + channel, mul(off, scale));
    }
    statistics[2 * token] = mean;
    statistics[2 * token + 1] = inverse;
  }
}

/// Gradient of normalize_rows (without its factor) in place of `d_rows`, for rows that were
/// `source` before; adds to `d_weight`.
void normalize_rows_backward(const AttentionShape& shape, const float* weight, Source source,
                             int64_t stride, const float* statistics, float* d_rows,
                             float* d_weight) {
  const auto count = static_cast<float>(shape.head_dim);
  for (int64_t token = 0; token < shape.tokens; ++token) {
    float* row = d_rows + token * shape.head_dim;
    const Floats mean = set1(statistics[2 * token]);
    const Floats inverse = set1(statistics[2 * token + 1]);
    Floats sum = zero();
    Floats product_sum = zero();
    for (int64_t channel = 0; channel < shape.head_dim; channel += kLanes) {
      const Floats unit = mul(sub(load(source, token * stride + channel), mean), inverse);
      const Floats d_out = load(row + channel);
      const Floats d_unit = mul(d_out, load(weight + channel));
      sum = add(sum, d_unit);
      product_sum = fmadd(d_unit, unit, product_sum);
      store(d_weight + channel, fmadd(d_out, unit, load(d_weight + channel)));
    }
    const Floats mean_d = set1(sum_of(sum) / count);
    const Floats mean_product = set1(sum_of(product_sum) / count);
    for (int64_t channel = 0; channel < shape.head_dim; channel += kLanes) {
      const Floats unit = mul(sub(load(source, token * stride + channel), mean), inverse);
      const Floats d_unit = mul(load(row + channel), load(weight + channel));
      const Floats centred = fnmadd(unit, mean_product, sub(d_unit, mean_d));
      store(row + channel, mul(centred, inverse));
    }
  }
}

/// Softmax over the first `tokens` of each row; the rest of the row becomes zero.
void softmax_rows(const AttentionShape& shape, float* scores, int64_t padded) {
  const Floats lowest = set1(-__builtin_inff());
  for (int64_t token = 0; token < shape.tokens; ++token) {
    float* row = scores + token * padded;
    Floats largest = lowest;
    for (int64_t key = 0; key < padded; key += kLanes) {
      largest = max(lanes(key, shape.tokens), largest, load(row + key));
    }
    const Floats shift = set1(max_of(largest));
    Floats sum = zero();
    for (int64_t key = 0; key < padded; key += kLanes) {
      const Floats power = keep(lanes(key, shape.tokens), exp_exact(sub(load(row + key), shift)));
      store(row + key, power);
      sum = add(sum, power);
    }
    const Floats inverse = set1(1.0F / sum_of(sum));
    for (int64_t key = 0; key < padded; key += kLanes) {
      store(row + key, mul(load(row + key), inverse));
    }
  }
}

/// d_scores = scores (d_scores - sum over the row of scores d_scores), in place.
void softmax_rows_backward(const AttentionShape& shape, const float* scores, float* d_scores,
                           int64_t padded) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const float* row = scores + token * padded;
    float* d_row = d_scores + token * padded;
    Floats sum = zero();
    for (int64_t key = 0; key < padded; key += kLanes) {
      sum = fmadd(load(row + key), load(d_row + key), sum);
    }
    const Floats total = set1(sum_of(sum));
    for (int64_t key = 0; key < padded; key += kLanes) {
      const Floats off = sub(load(d_row + key), total);
      store(d_row + key, mul(load(row + key), off));
    }
  }
}

/// Loads one head and computes its attention weights into head.scores.
void attention_weights(const AttentionShape& shape, const QkNorm& norm, Source qkv,
                       const Head& head) {
  const int64_t stride = 3 * shape.dim();
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(shape.head_dim));
  load_rows(qkv, stride, shape, norm.query != nullptr ? 1.0F : scale, head.queries);
  load_rows(qkv.offset(shape.dim()), stride, shape, 1.0F, head.keys);
  load_rows(qkv.offset(2 * shape.dim()), stride, shape, 1.0F, head.values);
  if (norm.query != nullptr) {
    normalize_rows(shape, norm.query, scale, head.queries, head.statistics);
    normalize_rows(shape, norm.key, 1.0F, head.keys, head.statistics + 2 * shape.tokens);
  }
  fp32_transpose(head.keys, shape.head_dim, shape.tokens, shape.head_dim, head.transposed,
                 head.padded);
  fp32_gemm(shape.tokens, head.padded, shape.head_dim, as_rows(head.queries, shape.head_dim),
            head.transposed, head.padded, head.scores, head.padded);
  softmax_rows(shape, head.scores, head.padded);
}

int64_t attention_scratch(const AttentionShape& shape) {
  const int64_t padded = round_up(shape.tokens, 16);
  return 5 * round_up(shape.tokens * shape.head_dim, 16) + shape.head_dim * padded +
         2 * shape.tokens * padded + round_up(4 * shape.tokens, 16);
}

void attention_forward(const AttentionShape& shape, HeadRange heads, const QkNorm& norm, Source qkv,
                       Target mixed, float* scratch) {
  const Head head = divide(shape, scratch);
  for (int64_t index = heads.first; index < heads.last; ++index) {
    const int64_t first = index * shape.head_dim;
    attention_weights(shape, norm, qkv.offset(first), head);
    fp32_gemm(shape.tokens, shape.head_dim, shape.tokens, as_rows(head.scores, head.padded),
              head.values, shape.head_dim, head.result, shape.head_dim);
    store_rows(head.result, shape, 1.0F, mixed.offset(first), shape.dim());
  }
}

void attention_backward(const AttentionShape& shape, HeadRange heads, const QkNorm& norm,
                        Source qkv, Source d_mixed, Target d_qkv, float* d_norm, float* scratch) {
  const Head head = divide(shape, scratch);
  const int64_t stride = 3 * shape.dim();
  const int64_t head_dim = shape.head_dim;
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(head_dim));
  for (int64_t index = heads.first; index < heads.last; ++index) {
    const int64_t first = index * head_dim;
    float* const d_weights = d_norm != nullptr ? d_norm + index * 2 * head_dim : nullptr;
    attention_weights(shape, norm, qkv.offset(first), head);
    load_rows(d_mixed.offset(first), shape.dim(), shape, 1.0F, head.d_mixed);
    // Values: the weights transposed times d_mixed.
    fp32_gemm(shape.tokens, head_dim, shape.tokens, as_columns(head.scores, head.padded),
              head.d_mixed, head_dim, head.result, head_dim);
    store_rows(head.result, shape, 1.0F, d_qkv.offset(2 * shape.dim() + first), stride);
    // Scores.
    fp32_transpose(head.values, head_dim, shape.tokens, head_dim, head.transposed, head.padded);
    fp32_gemm(shape.tokens, head.padded, head_dim, as_rows(head.d_mixed, head_dim), head.transposed,
              head.padded, head.d_scores, head.padded);
    softmax_rows_backward(shape, head.scores, head.d_scores, head.padded);
    // Queries, whose scale belongs to the scores.
    fp32_gemm(shape.tokens, head_dim, shape.tokens, as_rows(head.d_scores, head.padded), head.keys,
              head_dim, head.result, head_dim);
    float query_factor = scale;
    if (norm.query != nullptr) {
      for (int64_t at = 0; at < shape.tokens * head_dim; at += kLanes) {
        store(head.result + at, mul(load(head.result + at), set1(scale)));
      }
      query_factor = 1.0F;
      normalize_rows_backward(shape, norm.query, qkv.offset(first), stride, head.statistics,
                              head.result, d_weights);
    }
    store_rows(head.result, shape, query_factor, d_qkv.offset(first), stride);
    // Keys: the queries already carry the scale.
    fp32_gemm(shape.tokens, head_dim, shape.tokens, as_columns(head.d_scores, head.padded),
              head.queries, head_dim, head.result, head_dim);
    if (norm.key != nullptr) {
      normalize_rows_backward(shape, norm.key, qkv.offset(shape.dim() + first), stride,
                              head.statistics + 2 * shape.tokens, head.result,
                              d_weights + head_dim);
    }
    store_rows(head.result, shape, 1.0F, d_qkv.offset(shape.dim() + first), stride);
  }
}

}  // namespace

const AttentionKernels kAttentionKernels{.attention_scratch = attention_scratch,
                                         .attention_forward = attention_forward,
                                         .attention_backward = attention_backward};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
