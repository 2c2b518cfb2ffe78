#pragma once
/// Softmax attention within one image or text for inference: both products as packed_product.h,
/// with the factors of a head packed while they are in the caches.

#include <cstdint>

#include "kernels/packed_product.h"

namespace softmoe::kernels {

/// Sizes of the attention within one image or text, in fp32 or bf16.
struct PackedAttention {
  Precision precision;
  int64_t tokens;
  int64_t heads;
  int64_t head_dim;                   ///< even for bf16
  const float* query_norm = nullptr;  ///< weights [head_dim] of QK-norm; null: none
  const float* key_norm = nullptr;
  float norm_eps = 0.0F;
  bool causal = false;  ///< a token attends to itself and those before it alone

  int64_t dim() const { return heads * head_dim; }
};

/// What the scores have to be multiplied by beforehand, in the weights of the queries or of their
/// norm: the usual 1 / sqrt(head_dim), and in bf16 1 / ln 2, since powers are then of two.
inline float query_factor(const PackedAttention& attention) {
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(attention.head_dim));
  return attention.precision == Precision::kBFloat16 ? scale * 1.44269504F : scale;
}

struct PackedAttentionKernels {
  /// Units of scratch memory of attend().
  int64_t (*attend_scratch)(const PackedAttention& attention);
  /// Head `head` of `mixed` [tokens, dim] from `qkv` [tokens, 3 dim], both fp32 or bf16 as the
  /// precision says, with rows `..._stride` values apart (even for bf16).
  void (*attend)(const PackedAttention& attention, int64_t head, Source qkv, int64_t qkv_stride,
                 Target mixed, int64_t mixed_stride, Unit* scratch);
};

}  // namespace softmoe::kernels
