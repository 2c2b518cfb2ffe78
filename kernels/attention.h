#pragma once
/// Softmax attention within one image, all heads, in fp32 between tensors of fp32 or bf16: for
/// sequences whose scores fit into the second-level cache.

#include <cstdint>

#include "kernels/types.h"

namespace softmoe::kernels {

/// Sizes of one image's attention.
struct AttentionShape {
  int64_t tokens;
  int64_t heads;
  int64_t head_dim;  ///< a multiple of 16
  float norm_eps;    ///< of QK-norm

  int64_t dim() const { return heads * head_dim; }
};

/// Weights [head_dim] of QK-norm, null without it.
struct QkNorm {
  const float* query = nullptr;
  const float* key = nullptr;
};

/// Heads [first, last).
struct HeadRange {
  int64_t first;
  int64_t last;
};

struct AttentionKernels {
  /// Floats of scratch memory that the other functions need.
  int64_t (*attention_scratch)(const AttentionShape& shape);
  /// `mixed` [tokens, dim] from `qkv` [tokens, 3 dim]: queries, keys and values of all heads.
  void (*attention_forward)(const AttentionShape& shape, HeadRange heads, const QkNorm& norm,
                            Source qkv, Target mixed, float* scratch);
  /// `d_qkv` [tokens, 3 dim] from `d_mixed` [tokens, dim]; with QK-norm adds the gradients of its
  /// weights to `d_norm` [heads, 2, head_dim] (queries, keys).
  void (*attention_backward)(const AttentionShape& shape, HeadRange heads, const QkNorm& norm,
                             Source qkv, Source d_mixed, Target d_qkv, float* d_norm,
                             float* scratch);
};

}  // namespace softmoe::kernels
