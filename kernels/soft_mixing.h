#pragma once
/// The two mixing steps of Soft MoE within one image: tokens into slots and slot outputs into
/// tokens (Puigcerver et al., arXiv:2308.00951, algorithm 1). Logits and softmaxes are fp32. So are
/// all products, but if expert inputs and outputs are bf16, levels that multiply bf16 round the
/// softmax weights, and what they multiply, to bf16 for the products of these, as autocast does.
///
/// Of all matrices over tokens and slots the logits alone are kept: as with attention, both
/// softmaxes are computed when they are needed. Logits lie in panels of 32 slots,
/// [panels, tokens, 32], so that thousands of slots cost as much each as a few.

#include <cstdint>

#include "kernels/types.h"

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
  int64_t panels() const { return (slots() + 31) / 32; }
  /// Values of an image's logits: what slots do not fill in the last panel is unspecified.
  int64_t logits() const { return panels() * tokens * 32; }
  /// Values of a matrix [dim, slots] or [slots, dim] in panels.
  int64_t keys() const { return round_up(dim, 32) * panels() * 32; }
};

/// What soft_dispatch_backward reads; `d_logits` (in panels) may be null.
struct MixingGradients {
  Source d_expert_inputs;
  const float* d_logits;
};

/// A part of the gradient of the keys.
struct KeyPart {
  int64_t first_panel;
  int64_t last_panel;
  int64_t first_channel;  ///< a multiple of 8
  int64_t last_channel;
};

/// What a token's softmax over slots needs beside its logits, [tokens] each.
struct RowSoftmax {
  float* maxima;
  float* inverse_sums;
};

/// Tokens into slots, and the parameters of slots.
struct SoftDispatchKernels {
  /// Floats of scratch memory that any of the other functions needs.
  int64_t (*mixing_scratch)(const MixingShape& shape);
  /// `panels` [panels of slots, dim, 32] from `keys` [dim, slots].
  void (*pack_keys)(const MixingShape& shape, const float* keys, float* panels);
  /// `transposed` [panels of channels, slots rounded up to 32, 32] from the panels of pack_keys().
  void (*transpose_keys)(const MixingShape& shape, const float* panels, float* transposed);
  /// `keys` [dim, slots] from the panels of pack_keys().
  void (*unpack_keys)(const MixingShape& shape, const float* panels, float* keys);
  /// Logits and expert inputs of image number `image` from its `x` [tokens, dim]; `expert_inputs`
  /// is the memory of all images.
  void (*soft_dispatch_forward)(const MixingShape& shape, int64_t image, const float* x,
                                const float* key_panels, float* logits, Target expert_inputs,
                                float* scratch);
  /// `d_x` [tokens, dim], and `d_raw` (in panels), the gradient of x keys before the division by
  /// the token's norm.
  void (*soft_dispatch_backward)(const MixingShape& shape, int64_t image, const float* x,
                                 const float* transposed_keys, const float* logits,
                                 const MixingGradients& gradients, float* d_x, float* d_raw,
                                 float* scratch);
  /// One part of `d_keys` [panels of slots, dim, 32] = x^T d_raw over the tokens of all images.
  void (*soft_keys_backward)(const MixingShape& shape, const KeyPart& part, const float* x,
                             const float* d_raw, float* d_keys);
};

/// Slot outputs into tokens.
struct SoftCombineKernels {
  /// `out` [tokens, dim] of one image from its logits, and `softmax`.
  void (*soft_combine_forward)(const MixingShape& shape, int64_t image, const float* logits,
                               Source expert_outputs, const RowSoftmax& softmax, float* out,
                               float* scratch);
  /// Gradients of soft_combine_forward() for one image from `out` and `d_out` [tokens, dim].
  void (*soft_combine_backward)(const MixingShape& shape, int64_t image, const float* logits,
                                const RowSoftmax& softmax, Source expert_outputs, const float* out,
                                const float* d_out, Target d_expert_outputs, float* d_logits,
                                float* scratch);
};

}  // namespace softmoe::kernels
