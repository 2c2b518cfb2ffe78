#pragma once
/// How much memory something takes at most.

#include <cstdint>
#include <fstream>
#include <optional>

#include "runtime/memory/memory_use.h"

namespace softmoe::test {

/// By how much the memory that this process holds grew at most while `work` ran; nothing where the
/// system does not let us ask, or where a sanitizer takes memory too.
template <typename Work>
std::optional<int64_t> peak_growth(const Work& work) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  work();
  return std::nullopt;
#else
  std::ofstream reset("/proc/self/clear_refs");
  reset << "5" << std::flush;  // the peak begins anew at what is held now
  const bool is_reset = static_cast<bool>(reset);
  const int64_t before = peak_memory_bytes(torch::kCPU);
  work();
  return is_reset ? std::optional(peak_memory_bytes(torch::kCPU) - before) : std::nullopt;
#endif
}

}  // namespace softmoe::test
