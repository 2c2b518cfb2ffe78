#pragma once
/// How much memory there is, is in use and is left, on CPUs and CUDA devices.

#include <torch/types.h>

#include <cstdint>

namespace softmoe {

/// The memory of `device` in bytes, of the machine for a CPU.
int64_t total_memory_bytes(const torch::Device& device);

/// Bytes that can still be allocated: on a CPU what the system says is available (or what the
/// control group of the process leaves), on CUDA the device's free memory and libtorch's cache.
int64_t available_memory_bytes(const torch::Device& device);

/// Bytes in use now: by the process on a CPU, by libtorch's tensors on CUDA. Freed memory goes back
/// to the system before it is counted.
int64_t memory_in_use_bytes(const torch::Device& device);

/// The maximum of memory in use so far, in bytes: of the process on a CPU, of libtorch's tensors on
/// CUDA.
int64_t peak_memory_bytes(const torch::Device& device);
/// Starts the count of peak_memory_bytes again.
void reset_peak_memory(const torch::Device& device);

}  // namespace softmoe
