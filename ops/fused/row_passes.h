#pragma once
/// The passes of ops/rows.h over the memory of tensors on a CPU, forward and backward. libtorch's
/// operators take about a microsecond per row beyond the copying.
///
/// Matrices are contiguous fp32, bf16 or fp64, gates fp32 (fp64 for fp64). Sums are fp32 (fp64 for
/// fp64), in the order of the rows, whatever the number of threads.

#include <torch/types.h>

#include <vector>

namespace softmoe::fused {

/// Returns true if the functions below take `x`: a CPU tensor of one of the dtypes.
bool takes_rows(const torch::Tensor& x);

/// The rows that belong to each target, in rising order.
struct RowsOfTargets {
  std::vector<int64_t> first;  ///< [targets + 1]: where a target's rows begin in `row`
  std::vector<int64_t> row;

  int64_t targets() const { return static_cast<int64_t>(first.size()) - 1; }
};

/// Sorts rows by `target_of` [any shape] int64, the target of each, -1 for none. Throws
/// c10::ValueError for a target beyond `targets`.
RowsOfTargets rows_of_targets(const torch::Tensor& target_of, int64_t targets);

/// out [rows, dim] = the rows of `x` [any, dim] that `index` [rows] numbers, zeros for -1. `out`
/// may be fp32 or bf16 whichever of the two `x` is.
void take_rows(const torch::Tensor& x, const torch::Tensor& index, const torch::Tensor& out);

/// out [targets, dim] = sum over a target's rows of gate * x [rows, dim]; `gate` [rows] may be
/// undefined: 1. Dtypes as of take_rows.
void sum_rows(const torch::Tensor& x, const torch::Tensor& gate, const RowsOfTargets& rows,
              const torch::Tensor& out);

/// The gradients of sum_rows from `d_out` [targets, dim]: d_x [rows, dim] = gate * d_out of the
/// row's target and, if `d_gate` [rows] is defined, the product of x and d_out; zeros if
/// `target_of` is -1. Without `gate`, `x` is not read and may be undefined.
void sum_rows_backward(const torch::Tensor& x, const torch::Tensor& gate,
                       const torch::Tensor& target_of, const torch::Tensor& d_out,
                       const torch::Tensor& d_x, const torch::Tensor& d_gate);

}  // namespace softmoe::fused
