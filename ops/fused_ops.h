#pragma once
/// Parts of a transformer as single differentiable operators, for training small models on a CPU,
/// where memory traffic and the overhead of many small operators outweigh the arithmetic.
///
/// They compute what libtorch's operators compute under bf16 autocast: products of bf16 factors
/// with fp32 sums, everything else in fp32, gradients of parameters in fp32. Results do not depend
/// on the number of threads. They are used where fused_ops_apply() holds; elsewhere the modules
/// call libtorch's operators.

#include <torch/types.h>

namespace softmoe {

/// Whether `x` and the mode of this thread call for the fused operators: bf16 autocast on a CPU
/// with AVX-512 BF16 instructions, and not switched off.
bool fused_ops_apply(const torch::Tensor& x);

/// Switches the fused operators off, or on again, for the whole process; returns what was set.
bool set_fused_ops(bool enabled);
/// Whether they are on.
bool fused_ops_enabled();

/// What a residual branch starts from.
struct NormedBranch {
  torch::Tensor normed;  ///< LayerNorm of x
  torch::Tensor skip;    ///< x itself, for the addition at the end of the branch
};

/// LayerNorm of `x` [..., dim] over its last axis, computed in fp32 and given as `dtype`, fp32 or
/// bf16; `bias` may be undefined.
torch::Tensor fused_layer_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, double eps,
                               torch::Dtype dtype = torch::kFloat32);
/// The same with `x` handed through, so that the gradients of both are added in one pass.
NormedBranch fused_layer_norm_with_skip(const torch::Tensor& x, const torch::Tensor& weight,
                                        const torch::Tensor& bias, double eps, torch::Dtype dtype);

/// Whether fused_linear takes these: fp32, sizes that are multiples of 16.
bool fused_linear_takes(const torch::Tensor& x, const torch::Tensor& weight);

/// `x` [..., inputs] times the transpose of `weight` [outputs, inputs], in fp32 throughout: for
/// logits whose precision matters.
torch::Tensor fused_linear(const torch::Tensor& x, const torch::Tensor& weight);

/// Parameters of a two-layer MLP: of one, or with a first axis of experts.
struct MlpParameters {
  torch::Tensor fc1_weight;  ///< [hidden, dim] or [experts, hidden, dim]
  torch::Tensor fc1_bias;    ///< [hidden] or [experts, hidden]
  torch::Tensor fc2_weight;  ///< [dim, hidden] or [experts, dim, hidden]
  torch::Tensor fc2_bias;    ///< [dim] or [experts, dim]
};

/// Whether fused_mlp takes these sizes.
bool fused_mlp_takes(const MlpParameters& parameters);

/// fc2(GELU(fc1(x))) + residual of `x` [..., dim], with experts [experts, rows, dim]. The result is
/// fp32 with a residual (of the shape of `x`) and bf16 without.
torch::Tensor fused_mlp(const torch::Tensor& x, const MlpParameters& parameters, bool gelu_tanh,
                        const torch::Tensor& residual = {});

/// Parameters of self-attention; the norms [head_dim] are undefined where there is no QK-norm.
struct AttentionParameters {
  torch::Tensor qkv_weight;   ///< [3 dim, dim]
  torch::Tensor qkv_bias;     ///< [3 dim]
  torch::Tensor proj_weight;  ///< [dim, dim]
  torch::Tensor proj_bias;    ///< [dim]
  torch::Tensor q_norm;
  torch::Tensor k_norm;
  double norm_eps = 0.0;
  int64_t heads = 1;
};

/// Whether fused_attention takes these sizes: short sequences, head_dim a multiple of 16.
bool fused_attention_takes(const AttentionParameters& parameters, int64_t tokens);

/// Multi-head self-attention + residual of `x` [batch, tokens, dim]; result as of fused_mlp.
torch::Tensor fused_attention(const torch::Tensor& x, const AttentionParameters& parameters,
                              const torch::Tensor& residual = {});

}  // namespace softmoe
