#pragma once
/// Self-attention as one operator on our kernels.

#include "ops/attention.h"

namespace softmoe::fused {

/// Returns true if attention() takes these sizes: short sequences, head_dim a multiple of 16,
/// contiguous fp32 weights.
bool takes_attention(const AttentionParameters& parameters, int64_t tokens);

/// softmoe::attention() without dropout and causality, in fp32 with a residual and in `precision`
/// without. Throws c10::ValueError for sizes that it does not take.
torch::Tensor attention(const torch::Tensor& x, const AttentionParameters& parameters,
                        Precision precision, const torch::Tensor& residual = {},
                        const PackedSequences& sequences = {});

}  // namespace softmoe::fused
