#pragma once
/// The two mixing steps of Soft MoE within one image, in fp32: tokens into slots and slot outputs
/// into tokens (Puigcerver et al., arXiv:2308.00951, algorithm 1).

#include <cstdint>

#include "core/kernels/types.h"

namespace softmoe::kernels {

/// Sizes of one call. Expert inputs and outputs lie as [experts, batch * slots_per_expert, dim].
struct MixingShape {
  int64_t batch;
  int64_t tokens;
  int64_t experts;
  int64_t slots_per_expert;
  int64_t dim;  ///< a multiple of 16
  float eps;    ///< added to the squared norm of a token

  int64_t slots() const { return experts * slots_per_expert; }
  /// Slots filled up to whole vectors: the length of rows of `keys` and `d_raw`.
  int64_t padded() const { return round_up(slots(), 16); }
};

/// Floats of scratch memory that each function below needs.
int64_t mixing_scratch(const MixingShape& shape);

/// `padded_keys` [dim, padded] from `keys` [dim, slots].
void pad_keys(const MixingShape& shape, const float* keys, float* padded_keys);
/// [slots, dim] from `padded_keys` [dim, padded].
void transpose_keys(const MixingShape& shape, const float* padded_keys, float* transposed);

/// Routing weights of one image, each [tokens, slots].
struct MixingWeights {
  float* logits;
  float* dispatch;
  float* combine;
};

/// Weights and expert inputs of image number `image` from its `x` [tokens, dim]; `expert_inputs`
/// is the memory of all images.
void soft_dispatch_forward(const MixingShape& shape, int64_t image, const float* x,
                           const float* padded_keys, const MixingWeights& weights,
                           Bf16* expert_inputs, float* scratch);

/// What soft_dispatch_backward reads; `d_combine` [tokens, slots] may be null.
struct MixingGradients {
  Source d_expert_inputs;
  const float* d_combine;
};

/// `d_x` [tokens, dim], and `d_raw` [tokens, padded], the gradient of x keys before the division by
/// the token's norm.
void soft_dispatch_backward(const MixingShape& shape, int64_t image, const float* x,
                            const float* transposed_keys, const MixingWeights& weights,
                            const MixingGradients& gradients, float* d_x, float* d_raw,
                            float* scratch);

/// Rows [first, last) of `d_keys` [dim, padded] = x^T d_raw over all images' `rows` tokens.
void soft_keys_backward(const MixingShape& shape, int64_t first, int64_t last, int64_t rows,
                        const float* x, const float* d_raw, float* d_keys);

/// `out` [tokens, dim] of one image from `combine` [tokens, slots].
void soft_combine_forward(const MixingShape& shape, int64_t image, const float* combine,
                          Source expert_outputs, float* out, float* scratch);

/// Gradients of one image of the same from `d_out` [tokens, dim].
void soft_combine_backward(const MixingShape& shape, int64_t image, const float* combine,
                           Source expert_outputs, const float* d_out, Target d_expert_outputs,
                           float* d_combine, float* scratch);

}  // namespace softmoe::kernels
