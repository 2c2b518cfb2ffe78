#include "core/kernels/avx512_fp32_gemm.h"
#include "core/kernels/avx512_math.h"
#include "core/kernels/soft_mixing.h"

namespace softmoe::kernels {
namespace {

/// Scratch memory of one image.
struct Parts {
  float* values;      // [slots, dim]
  float* transposed;  // [dim, padded]
  float* first;       // [tokens, padded]
  float* second;      // [tokens, padded]
};

Parts divide(const MixingShape& shape, float* scratch) {
  const auto take = [&scratch](int64_t size) {
    float* const part = scratch;
    scratch += round_up(size, 16);
    return part;
  };
  Parts parts{};
  parts.values = take(shape.slots() * shape.dim);
  parts.transposed = take(shape.dim * shape.padded());
  parts.first = take(shape.tokens * shape.padded());
  parts.second = take(shape.tokens * shape.padded());
  return parts;
}

/// Row of slot `slot` of `image` in expert inputs and outputs.
int64_t slot_row(const MixingShape& shape, int64_t image, int64_t slot) {
  const int64_t expert = slot / shape.slots_per_expert;
  return (expert * shape.batch + image) * shape.slots_per_expert + slot % shape.slots_per_expert;
}

void load_slots(const MixingShape& shape, int64_t image, Source source, float* values) {
  for (int64_t slot = 0; slot < shape.slots(); ++slot) {
    const int64_t row = slot_row(shape, image, slot) * shape.dim;
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      _mm512_storeu_ps(values + slot * shape.dim + channel, load(source, row + channel, 0xFFFF));
    }
  }
}

void store_slots(const MixingShape& shape, int64_t image, const float* values, Target target) {
  for (int64_t slot = 0; slot < shape.slots(); ++slot) {
    const int64_t row = slot_row(shape, image, slot) * shape.dim;
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      const __m512 value = _mm512_loadu_ps(values + slot * shape.dim + channel);
      if (target.bf16 != nullptr) {
        store_bf16(target.bf16 + row + channel, value);
      } else {
        _mm512_storeu_ps(target.fp32 + row + channel, value);
      }
    }
  }
}

/// Copies [tokens, slots] to rows of `padded` values, filled up with zeros.
void pad_rows(const MixingShape& shape, const float* source, float* target) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t slot = 0; slot < shape.padded(); slot += 16) {
      _mm512_storeu_ps(target + token * shape.padded() + slot,
                       _mm512_maskz_loadu_ps(lanes16(slot, shape.slots()),
                                             source + token * shape.slots() + slot));
    }
  }
}

/// The opposite.
void unpad_rows(const MixingShape& shape, const float* source, float* target) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t slot = 0; slot < shape.padded(); slot += 16) {
      _mm512_mask_storeu_ps(target + token * shape.slots() + slot, lanes16(slot, shape.slots()),
                            _mm512_loadu_ps(source + token * shape.padded() + slot));
    }
  }
}

float square_sum(const float* row, int64_t count) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t at = 0; at < count; at += 16) {
    const __m512 value = _mm512_loadu_ps(row + at);
    sum = _mm512_fmadd_ps(value, value, sum);
  }
  return _mm512_reduce_add_ps(sum);
}

/// Multiplies each row of logits by the inverse norm of its token.
void divide_by_norms(const MixingShape& shape, const float* x, float* logits) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const __m512 inverse = _mm512_set1_ps(
        1.0F / __builtin_sqrtf(square_sum(x + token * shape.dim, shape.dim) + shape.eps));
    for (int64_t slot = 0; slot < shape.padded(); slot += 16) {
      float* const at = logits + token * shape.padded() + slot;
      _mm512_storeu_ps(at, _mm512_mul_ps(_mm512_loadu_ps(at), inverse));
    }
  }
}

/// Softmax over the tokens, that is over each column.
void softmax_columns(const MixingShape& shape, const float* logits, float* weights) {
  const int64_t padded = shape.padded();
  for (int64_t slot = 0; slot < padded; slot += 16) {
    __m512 largest = _mm512_loadu_ps(logits + slot);
    for (int64_t token = 1; token < shape.tokens; ++token) {
      largest = _mm512_max_ps(largest, _mm512_loadu_ps(logits + token * padded + slot));
    }
    __m512 sum = _mm512_setzero_ps();
    for (int64_t token = 0; token < shape.tokens; ++token) {
      const int64_t at = token * padded + slot;
      const __m512 power = exp_exact(_mm512_sub_ps(_mm512_loadu_ps(logits + at), largest));
      _mm512_storeu_ps(weights + at, power);
      sum = _mm512_add_ps(sum, power);
    }
    const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(1.0F), sum);
    for (int64_t token = 0; token < shape.tokens; ++token) {
      const int64_t at = token * padded + slot;
      _mm512_storeu_ps(weights + at, _mm512_mul_ps(_mm512_loadu_ps(weights + at), inverse));
    }
  }
}

/// Softmax over the slots, that is over each row; what fills up the rows becomes zero.
void softmax_rows(const MixingShape& shape, const float* logits, float* weights) {
  const int64_t padded = shape.padded();
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const float* const row = logits + token * padded;
    float* const out = weights + token * padded;
    __m512 largest = _mm512_set1_ps(-__builtin_inff());
    for (int64_t slot = 0; slot < padded; slot += 16) {
      largest = _mm512_mask_max_ps(largest, lanes16(slot, shape.slots()), largest,
                                   _mm512_loadu_ps(row + slot));
    }
    const __m512 shift = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    __m512 sum = _mm512_setzero_ps();
    for (int64_t slot = 0; slot < padded; slot += 16) {
      const __m512 power =
          _mm512_maskz_mov_ps(lanes16(slot, shape.slots()),
                              exp_exact(_mm512_sub_ps(_mm512_loadu_ps(row + slot), shift)));
      _mm512_storeu_ps(out + slot, power);
      sum = _mm512_add_ps(sum, power);
    }
    const __m512 inverse = _mm512_set1_ps(1.0F / _mm512_reduce_add_ps(sum));
    for (int64_t slot = 0; slot < padded; slot += 16) {
      _mm512_storeu_ps(out + slot, _mm512_mul_ps(_mm512_loadu_ps(out + slot), inverse));
    }
  }
}

/// d_weights becomes weights (d_weights - sum over tokens of weights d_weights).
void softmax_columns_backward(const MixingShape& shape, const float* weights, float* d_weights) {
  const int64_t padded = shape.padded();
  for (int64_t slot = 0; slot < padded; slot += 16) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t token = 0; token < shape.tokens; ++token) {
      const int64_t at = token * padded + slot;
      sum = _mm512_fmadd_ps(_mm512_loadu_ps(weights + at), _mm512_loadu_ps(d_weights + at), sum);
    }
    for (int64_t token = 0; token < shape.tokens; ++token) {
      const int64_t at = token * padded + slot;
      const __m512 off = _mm512_sub_ps(_mm512_loadu_ps(d_weights + at), sum);
      _mm512_storeu_ps(d_weights + at, _mm512_mul_ps(_mm512_loadu_ps(weights + at), off));
    }
  }
}

/// Adds weights (d_weights - sum over slots of weights d_weights) to d_logits.
void softmax_rows_backward(const MixingShape& shape, const float* weights, const float* d_weights,
                           float* d_logits) {
  const int64_t slots = shape.slots();
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const float* const row = weights + token * slots;
    const float* const d_row = d_weights + token * slots;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t slot = 0; slot < slots; slot += 16) {
      const __mmask16 mask = lanes16(slot, slots);
      sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, row + slot),
                            _mm512_maskz_loadu_ps(mask, d_row + slot), sum);
    }
    const __m512 total = _mm512_set1_ps(_mm512_reduce_add_ps(sum));
    for (int64_t slot = 0; slot < slots; slot += 16) {
      const __mmask16 mask = lanes16(slot, slots);
      float* const at = d_logits + token * shape.padded() + slot;
      const __m512 off = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, d_row + slot), total);
      _mm512_storeu_ps(
          at, _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, row + slot), off, _mm512_loadu_ps(at)));
    }
  }
}

/// From d_logits to the gradient of the raw products, in place; `d_x` becomes the
/// gradient that reaches a token through its norm.
void norms_backward(const MixingShape& shape, const float* x, const float* logits, float* d_logits,
                    float* d_x) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const float* const row = x + token * shape.dim;
    const float inverse = 1.0F / __builtin_sqrtf(square_sum(row, shape.dim) + shape.eps);
    float* const d_row = d_logits + token * shape.padded();
    __m512 sum = _mm512_setzero_ps();
    for (int64_t slot = 0; slot < shape.padded(); slot += 16) {
      const __m512 d_logit = _mm512_loadu_ps(d_row + slot);
      const __m512 logit = _mm512_maskz_loadu_ps(lanes16(slot, shape.slots()),
                                                 logits + token * shape.slots() + slot);
      sum = _mm512_fmadd_ps(d_logit, logit, sum);
      _mm512_storeu_ps(d_row + slot, _mm512_mul_ps(d_logit, _mm512_set1_ps(inverse)));
    }
    const __m512 factor = _mm512_set1_ps(-_mm512_reduce_add_ps(sum) * inverse * inverse);
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      _mm512_storeu_ps(d_x + token * shape.dim + channel,
                       _mm512_mul_ps(factor, _mm512_loadu_ps(row + channel)));
    }
  }
}

}  // namespace

int64_t mixing_scratch(const MixingShape& shape) {
  return shape.slots() * shape.dim + shape.dim * shape.padded() + 2 * shape.tokens * shape.padded();
}

void pad_keys(const MixingShape& shape, const float* keys, float* padded_keys) {
  for (int64_t channel = 0; channel < shape.dim; ++channel) {
    for (int64_t slot = 0; slot < shape.padded(); slot += 16) {
      _mm512_storeu_ps(padded_keys + channel * shape.padded() + slot,
                       _mm512_maskz_loadu_ps(lanes16(slot, shape.slots()),
                                             keys + channel * shape.slots() + slot));
    }
  }
}

void transpose_keys(const MixingShape& shape, const float* padded_keys, float* transposed) {
  for (int64_t slot = 0; slot < shape.slots(); ++slot) {
    for (int64_t channel = 0; channel < shape.dim; ++channel) {
      transposed[slot * shape.dim + channel] = padded_keys[channel * shape.padded() + slot];
    }
  }
}

void soft_dispatch_forward(const MixingShape& shape, int64_t image, const float* x,
                           const float* padded_keys, const MixingWeights& weights,
                           Bf16* expert_inputs, float* scratch) {
  const Parts parts = divide(shape, scratch);
  const int64_t padded = shape.padded();
  float* const logits = parts.first;
  float* const softmax = parts.second;
  fp32_gemm(shape.tokens, padded, shape.dim, {x, shape.dim, 1}, padded_keys, padded, logits,
            padded);
  divide_by_norms(shape, x, logits);
  unpad_rows(shape, logits, weights.logits);
  softmax_rows(shape, logits, softmax);
  unpad_rows(shape, softmax, weights.combine);
  softmax_columns(shape, logits, softmax);
  unpad_rows(shape, softmax, weights.dispatch);
  fp32_gemm(shape.slots(), shape.dim, shape.tokens, {softmax, 1, padded}, x, shape.dim,
            parts.values, shape.dim);
  store_slots(shape, image, parts.values, {.bf16 = expert_inputs});
}

void soft_dispatch_backward(const MixingShape& shape, int64_t image, const float* x,
                            const float* transposed_keys, const MixingWeights& weights,
                            const MixingGradients& gradients, float* d_x, float* d_raw,
                            float* scratch) {
  const Parts parts = divide(shape, scratch);
  const int64_t padded = shape.padded();
  const int64_t slots = shape.slots();
  float* const dispatch = parts.first;
  load_slots(shape, image, gradients.d_expert_inputs, parts.values);
  fp32_transpose(parts.values, shape.dim, slots, shape.dim, parts.transposed, padded);
  pad_rows(shape, weights.dispatch, dispatch);
  fp32_gemm(shape.tokens, padded, shape.dim, {x, shape.dim, 1}, parts.transposed, padded, d_raw,
            padded);
  softmax_columns_backward(shape, dispatch, d_raw);
  if (gradients.d_combine != nullptr) {
    softmax_rows_backward(shape, weights.combine, gradients.d_combine, d_raw);
  }
  norms_backward(shape, x, weights.logits, d_raw, d_x);
  fp32_gemm<true>(shape.tokens, shape.dim, slots, {d_raw, padded, 1}, transposed_keys, shape.dim,
                  d_x, shape.dim);
  fp32_gemm<true>(shape.tokens, shape.dim, slots, {dispatch, padded, 1}, parts.values, shape.dim,
                  d_x, shape.dim);
}

void soft_keys_backward(const MixingShape& shape, int64_t first, int64_t last, int64_t rows,
                        const float* x, const float* d_raw, float* d_keys) {
  fp32_gemm(last - first, shape.padded(), rows, {x + first, 1, shape.dim}, d_raw, shape.padded(),
            d_keys + first * shape.padded(), shape.padded());
}

void soft_combine_forward(const MixingShape& shape, int64_t image, const float* combine,
                          Source expert_outputs, float* out, float* scratch) {
  const Parts parts = divide(shape, scratch);
  load_slots(shape, image, expert_outputs, parts.values);
  fp32_gemm(shape.tokens, shape.dim, shape.slots(), {combine, shape.slots(), 1}, parts.values,
            shape.dim, out, shape.dim);
}

void soft_combine_backward(const MixingShape& shape, int64_t image, const float* combine,
                           Source expert_outputs, const float* d_out, Target d_expert_outputs,
                           float* d_combine, float* scratch) {
  const Parts parts = divide(shape, scratch);
  const int64_t padded = shape.padded();
  load_slots(shape, image, expert_outputs, parts.values);
  fp32_transpose(parts.values, shape.dim, shape.slots(), shape.dim, parts.transposed, padded);
  fp32_gemm(shape.tokens, padded, shape.dim, {d_out, shape.dim, 1}, parts.transposed, padded,
            parts.first, padded);
  unpad_rows(shape, parts.first, d_combine);
  fp32_gemm(shape.slots(), shape.dim, shape.tokens, {combine, 1, shape.slots()}, d_out, shape.dim,
            parts.values, shape.dim);
  store_slots(shape, image, parts.values, d_expert_outputs);
}

}  // namespace softmoe::kernels
