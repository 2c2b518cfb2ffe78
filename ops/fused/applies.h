#pragma once
/// When the operators of this folder stand for libtorch's.
///
/// They compute parts of a transformer as single differentiable operators, for training on a CPU,
/// where memory traffic and the overhead of many small operators outweigh the arithmetic. They
/// compute what libtorch's operators compute in fp32, or under bf16 autocast: products of bf16
/// factors with fp32 sums, everything else in fp32, gradients of parameters in fp32. Results do not
/// depend on the number of threads.
///
/// The functions in ops/ choose among both; nothing else includes this folder.

#include <torch/types.h>

#include <optional>

#include "core/precision.h"

namespace softmoe::fused {

/// The precision of products, kFloat32 or kBFloat16, if `x` and the mode of this thread call for
/// the operators of this folder: on a CPU whose kernels outdo libtorch, fp32 values without
/// autocast, or bf16 autocast.
std::optional<Precision> precision_of(const torch::Tensor& x);

}  // namespace softmoe::fused
