#include "runtime/memory/memory_use.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>

#include "runtime/memory/kept_memory.h"
#include "runtime/memory/proc_bytes.h"
#ifdef SOFTMOE_WITH_CUDA
#include "runtime/memory/cuda_memory.h"
#endif

namespace softmoe {
namespace {

std::optional<int64_t> number_in(const char* path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

int64_t host_available_bytes() {
  int64_t available =
      proc_bytes("/proc/meminfo", "MemAvailable:").value_or(std::numeric_limits<int64_t>::max());
  // "max" if there is no limit, which is no number.
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (limit && used) {
    available = std::min(available, std::max<int64_t>(0, *limit - *used));
  }
  return available;
}

int64_t host_peak_bytes() {
  if (const auto peak = proc_bytes("/proc/self/status", "VmHWM:")) {
    return *peak;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

int64_t total_memory_bytes([[maybe_unused]] const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return cuda_total_memory_bytes(device.index());
  }
#endif
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
}

int64_t available_memory_bytes([[maybe_unused]] const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return cuda_available_memory_bytes(device.index());
  }
#endif
  release_kept_memory();
  return host_available_bytes();
}

int64_t memory_in_use_bytes([[maybe_unused]] const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return cuda_memory_in_use_bytes(device.index());
  }
#endif
  ::malloc_trim(0);
  release_kept_memory();
  return proc_bytes("/proc/self/status", "VmRSS:").value_or(0);
}

int64_t peak_memory_bytes([[maybe_unused]] const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return cuda_peak_memory_bytes(device.index());
  }
#endif
  return host_peak_bytes();
}

void reset_peak_memory([[maybe_unused]] const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    cuda_reset_peak_memory(device.index());
    return;
  }
#endif
  release_kept_memory();                          // what is kept, but not in use, does not count
  std::ofstream("/proc/self/clear_refs") << "5";  // Linux: the peak becomes the present size
}

}  // namespace softmoe
