#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <cuda_runtime.h>

#include "runtime/memory/cuda_memory.h"

namespace softmoe {

int64_t cuda_peak_memory_bytes(int index) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
  constexpr auto kAggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return stats.allocated_bytes[kAggregate].peak;
}

void cuda_reset_peak_memory(int index) { c10::cuda::CUDACachingAllocator::resetPeakStats(index); }

int64_t cuda_memory_in_use_bytes(int index) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
  constexpr auto kAggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return stats.allocated_bytes[kAggregate].current;
}

int64_t cuda_available_memory_bytes(int index) {
  int previous = 0;
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  C10_CUDA_CHECK(cudaGetDevice(&previous));
  C10_CUDA_CHECK(cudaSetDevice(index));
  C10_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
  C10_CUDA_CHECK(cudaSetDevice(previous));
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
  constexpr auto kAggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<int64_t>(free_bytes) + stats.reserved_bytes[kAggregate].current -
         stats.allocated_bytes[kAggregate].current;
}

int64_t cuda_total_memory_bytes(int index) {
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  return static_cast<int64_t>(properties.totalGlobalMem);
}

}  // namespace softmoe
