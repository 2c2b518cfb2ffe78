#pragma once
/// Matrices with their axes exchanged, in memory.

#include <torch/types.h>

namespace softmoe {

/// [..., columns, rows], contiguous, of a CPU tensor [..., rows, columns] with two or three axes:
/// copied in blocks, on all threads. libtorch copies in blocks only tensors of two axes; for the
/// weights of many experts it would go through memory in the largest possible steps.
torch::Tensor transposed(const torch::Tensor& matrices);

}  // namespace softmoe
