#pragma once
/// The attention of kernels.h with our own vectors.

#include "bench/simd/own/gemm.h"

namespace softmoe::simd::SOFTMOE_LEVEL {

/// panels [padded tokens / 32, head_dim, 32] = k transposed; columns past the last token are zero.
inline void pack_keys(const Head& head, float* panels) {
  for (int64_t token = 0; token < padded_tokens(head.tokens); ++token) {
    float* column =
        panels + token / kPanelColumns * kPanelColumns * head.head_dim + token % kPanelColumns;
    const float* key = head.k + token * head.stride;
    for (int64_t index = 0; index < head.head_dim; ++index) {
      column[index * kPanelColumns] = token < head.tokens ? key[index] : 0.0F;
    }
  }
}

/// Replaces scores s [padded tokens] by exp((s - max) scale) and returns 1 / their sum.
inline float exponentiate(float* scores, int64_t tokens, float scale) {
  const int64_t padded = padded_tokens(tokens);
  for (int64_t token = tokens; token < padded; ++token) {
    scores[token] = -1e30F;
  }
  Floats highest = load(scores);
  for (int64_t token = kLanes; token < padded; token += kLanes) {
    highest = max(highest, load(scores + token));
  }
  const Floats factor = broadcast(scale);
  const Floats offset = broadcast(-scale * max_of_lanes(highest));
  Floats sum{};
  for (int64_t token = 0; token < padded; token += kLanes) {
    const Floats weight = exp_of_negative(multiply_add(load(scores + token), factor, offset));
    store(scores + token, weight);
    sum = sum + weight;
  }
  return 1.0F / sum_of_lanes(sum);
}

template <int kRows, int kVectors>
void attention(const Head& head) {
  const int64_t padded = padded_tokens(head.tokens);
  float* keys = head.scratch;
  float* scores = keys + padded * head.head_dim;
  pack_keys(head, keys);
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(head.head_dim));
  const RightFactor values{head.v, kPanelColumns, kPanelColumns, head.stride};
  for (int64_t first = 0; first < head.tokens; first += kScoreRows) {
    const int64_t rows = first + kScoreRows < head.tokens ? kScoreRows : head.tokens - first;
    float* out = head.out + first * head.stride;
    multiply<kRows, kVectors>(rows, head.head_dim, padded, head.q + first * head.stride,
                              head.stride, packed_factor(keys, head.head_dim), scores, padded);
    float inverse[kScoreRows];
    for (int64_t row = 0; row < rows; ++row) {
      inverse[row] = exponentiate(scores + row * padded, head.tokens, scale);
    }
    multiply<kRows, kVectors>(rows, head.tokens, head.head_dim, scores, padded, values, out,
                              head.stride);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t index = 0; index < head.head_dim; index += kLanes) {
        float* part = out + row * head.stride + index;
        store(part, load(part) * broadcast(inverse[row]));
      }
    }
  }
}

}  // namespace softmoe::simd::SOFTMOE_LEVEL
