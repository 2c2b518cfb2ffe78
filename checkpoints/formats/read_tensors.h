#pragma once
/// Many tensors out of one file at the same time.

#include <c10/util/FunctionRef.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace softmoe {

/// How the bytes of tensors are fetched and what is done with them. Both may be called from several
/// threads at once, never twice at once for one tensor, and may throw.
struct TensorReader {
  /// Puts `bytes` bytes from `begin` on of tensor `index` to `data`.
  c10::function_ref<void(size_t index, int64_t begin, void* data, size_t bytes)> read;
  /// Called when all of tensor `index` is there; `checksum` is its XXH3-64.
  c10::function_ref<void(size_t index, uint64_t checksum)> finish;
};

/// Fills contiguous CPU tensors, the largest first. Large ones are read by several threads, which
/// keeps a disk busy while checksums are computed and shares the cost of fresh memory. Throws what
/// the first failing tensor in this order threw; those that were not begun until then are left out.
void read_tensors(const std::vector<torch::Tensor>& tensors, const TensorReader& reader);

}  // namespace softmoe
