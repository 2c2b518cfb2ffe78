#pragma once
/// Rows of matrices taken and summed by number: what dispatch and combine of sparse routing are
/// made of.

#include <torch/types.h>

namespace softmoe {

/// The rows of `x` [..., dim] that `index` [experts, rows] int64 numbers over all its leading axes:
/// [experts, rows, dim]. What stands where `index` is -1 is finite and unspecified, and its
/// gradient must be 0. In bf16 if bf16 products follow on our kernels. Throws c10::ValueError for
/// other numbers.
torch::Tensor take_rows(const torch::Tensor& x, const torch::Tensor& index);

/// [targets, dim]: the sum over a target's rows of gate * x. `x` is [experts, rows, dim], `target`
/// [experts, rows] int64 numbers the target of each row, -1 for none; `gate` [experts, rows] may be
/// undefined: 1. In the dtype of `x`, or in fp32 if bf16 products precede on our kernels. Throws
/// c10::ValueError for other numbers.
torch::Tensor sum_rows(const torch::Tensor& x, const torch::Tensor& gate,
                       const torch::Tensor& target, int64_t targets);

}  // namespace softmoe
