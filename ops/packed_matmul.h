#pragma once
/// Products of matrices by the kernels of the level in use, to be timed: the fastest products that
/// models of this program are made of.

#include <torch/types.h>

#include <functional>

namespace softmoe {

/// Packs `right` [columns, depth] and returns a function that multiplies `left` [rows, depth] by
/// its transpose, on all threads; each call returns the same tensor [rows, columns] fp32, written
/// anew. Both factors are float32, bfloat16 or int8 from -127 to 127, on the CPU; products of int8
/// are exact. `depth` must be a multiple of 4. Throws c10::ValueError for other dtypes and shapes.
std::function<torch::Tensor()> packed_matmul(const torch::Tensor& left, const torch::Tensor& right);

}  // namespace softmoe
