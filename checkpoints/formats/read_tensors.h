#pragma once
/// Many tensors read from one file at the same time.

#include <c10/util/FunctionRef.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace softmoe {

/// How the bytes of tensors are read. Both functions may be called from several threads at once,
/// but not for the same tensor, and may throw.
struct TensorReader {
  /// Reads `bytes` bytes of tensor `index` from `begin` on to `data`.
  c10::function_ref<void(size_t index, int64_t begin, void* data, size_t bytes)> read;
  /// Called when all of tensor `index` was read; `checksum` is its XXH3-64.
  c10::function_ref<void(size_t index, uint64_t checksum)> finish;
};

/// Fills contiguous CPU tensors, the largest first. Large ones are read by several threads, so that
/// a disk is busy while checksums are computed and new memory is touched. Throws the error of the
/// first failing tensor in this order; tensors that were not begun by then are not read.
void read_tensors(const std::vector<torch::Tensor>& tensors, const TensorReader& reader);

}  // namespace softmoe
