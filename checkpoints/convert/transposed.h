#pragma once
/// Matrices with their axes exchanged, in memory.

#include <torch/types.h>

namespace softmoe {

/// [..., columns, rows] contiguous of a CPU tensor [..., rows, columns] with two or three axes: a
/// copy in blocks, on all threads. libtorch copies by blocks only what has two axes and no more;
/// for the weights of many experts it goes through memory in the largest possible steps.
torch::Tensor transposed(const torch::Tensor& matrices);

}  // namespace softmoe
