#pragma once
/// The peak of a process's memory.

#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <optional>

#include "runtime/memory/kept_memory.h"
#include "runtime/memory/memory_use.h"

namespace softmoe::test {

/// The largest growth of this process's memory while `work` runs, in bytes; nothing if the system
/// does not tell, or if a sanitizer uses memory, too.
template <typename Work>
std::optional<int64_t> peak_growth(const Work& work) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  work();
  return std::nullopt;
#else
  // Freed blocks go back to the system, so that gaps between blocks do not count as memory in use.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  release_kept_memory();
  malloc_trim(0);  // what is free, but not given back, would be used again without growth
  std::ofstream reset("/proc/self/clear_refs");
  reset << "5" << std::flush;  // sets the peak to the memory in use
  const bool is_reset = static_cast<bool>(reset);
  const int64_t before = peak_memory_bytes(torch::kCPU);
  work();
  return is_reset ? std::optional(peak_memory_bytes(torch::kCPU) - before) : std::nullopt;
#endif
}

}  // namespace softmoe::test
