#pragma once
/// The passes of multi-head self-attention with its linear maps over plain memory; attention.cpp
/// makes an operator of them.

#include <cstdint>
#include <vector>

#include "core/precision.h"
#include "kernels/attention.h"

namespace softmoe::fused {

/// Sizes of one call: sequences of different lengths, whose tokens stand one after the other.
struct AttentionCall {
  Precision precision;         // of products and of what is kept between them
  std::vector<int64_t> first;  // of each sequence, its first token; behind them the number of all
  kernels::AttentionShape longest;

  int64_t sequences() const { return std::ssize(first) - 1; }
  int64_t first_of(int64_t sequence) const { return first[static_cast<size_t>(sequence)]; }
  kernels::AttentionShape shape(int64_t sequence) const {
    auto own = longest;
    own.tokens = first_of(sequence + 1) - first_of(sequence);
    return own;
  }
};

/// Plain memory of the forward pass. `qkv` and `mixed` are kept for the backward pass, and `x_kept`
/// if x is rounded to bf16.
struct AttentionForwardJob {
  kernels::Source x;
  kernels::Source qkv_weight;
  const float* qkv_bias;
  kernels::Source proj_weight;
  const float* proj_bias;
  kernels::QkNorm norm;
  const float* residual;
  kernels::Target x_kept;
  kernels::Target qkv;
  kernels::Target mixed;
  kernels::Target out;
};

/// Plain memory of the backward pass. Gradients that are null are not computed. `d_norms`
/// [sequences, heads, 2, head_dim] is null without QK-norm; otherwise it holds zeros before the
/// pass and is to be summed over the first two axes after it.
struct AttentionBackwardJob {
  kernels::QkNorm norm;
  kernels::Source qkv_weight;
  kernels::Source proj_weight;
  kernels::Source x;
  kernels::Source qkv;
  kernels::Source mixed;
  kernels::Source d_out;
  kernels::Target d_x;
  float* d_qkv_weight;
  float* d_qkv_bias;
  float* d_proj_weight;
  float* d_proj_bias;
  float* d_norms;
};

void attention_pass_forward(const AttentionCall& call, const AttentionForwardJob& job);

void attention_pass_backward(const AttentionCall& call, const AttentionBackwardJob& job);

}  // namespace softmoe::fused
