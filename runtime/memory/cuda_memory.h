#pragma once
/// Memory of CUDA devices; compiled if the build has CUDA.

#include <cstdint>

namespace softmoe {

/// The maximum of the bytes that libtorch's allocator had handed out on CUDA device `index`.
int64_t cuda_peak_memory_bytes(int index);
/// Starts that count again.
void cuda_reset_peak_memory(int index);
/// Bytes that libtorch's tensors on CUDA device `index` take now.
int64_t cuda_memory_in_use_bytes(int index);
/// Bytes of CUDA device `index` that libtorch can still hand out: free ones and its unused cache.
int64_t cuda_available_memory_bytes(int index);
/// Memory of the device in bytes.
int64_t cuda_total_memory_bytes(int index);

}  // namespace softmoe
