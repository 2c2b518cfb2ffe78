#include "runtime/memory.h"

#include <c10/util/Exception.h>
#include <malloc.h>
#include <sys/resource.h>

#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <string_view>

#include "core/error.h"
#include "runtime/large_memory.h"

#ifdef SOFTMOE_WITH_CUDA
#include "runtime/device_memory.h"
#endif

namespace softmoe {
namespace {

/// The number of KiB behind `key` in a file of /proc, in bytes.
std::optional<int64_t> proc_bytes(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) {
      return std::stoll(line.substr(key.size())) * 1024;
    }
  }
  return std::nullopt;
}

std::optional<int64_t> number_in(const char* path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

int64_t host_available_bytes() {
  int64_t available =
      proc_bytes("/proc/meminfo", "MemAvailable:").value_or(std::numeric_limits<int64_t>::max());
  // "max" where there is no limit, which is no number.
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (limit && used) {
    available = std::min(available, std::max<int64_t>(0, *limit - *used));
  }
  return available;
}

/// What an allocator says, without where in its source it says so.
std::string memory_error_text(const std::string& message) {
  const auto line = single_line(message);
  const auto start = std::min(line.find("can't allocate memory"), line.find("out of memory"));
  return start == line.npos ? "out of memory" : line.substr(start);
}

}  // namespace

int64_t available_memory_bytes(const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return cuda_available_memory_bytes(device.index());
  }
#endif
  (void)device;
  release_large_memory();
  return host_available_bytes();
}

int64_t memory_in_use_bytes(const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return cuda_memory_in_use_bytes(device.index());
  }
#endif
  (void)device;
  ::malloc_trim(0);
  release_large_memory();
  return proc_bytes("/proc/self/status", "VmRSS:").value_or(0);
}

MemoryLimit::MemoryLimit(const torch::Device& device) {
  release_large_memory();
  const auto in_use = proc_bytes("/proc/self/status", "VmData:");
  rlimit limit{};
  if (!device.is_cpu() || !in_use || ::getrlimit(RLIMIT_DATA, &limit) != 0) {
    return;
  }
  const rlim_t wanted = static_cast<rlim_t>(*in_use) + static_cast<rlim_t>(host_available_bytes());
  const rlim_t previous = limit.rlim_cur;
  limit.rlim_cur = std::min({wanted, limit.rlim_cur, limit.rlim_max});
  if (::setrlimit(RLIMIT_DATA, &limit) == 0) {
    previous_ = previous;
  }
}

MemoryLimit::~MemoryLimit() {
  rlimit limit{};
  if (previous_ && ::getrlimit(RLIMIT_DATA, &limit) == 0) {
    limit.rlim_cur = *previous_;
    ::setrlimit(RLIMIT_DATA, &limit);
  }
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
      dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) {
    return true;
  }
  const std::string_view text = error.what();
  return text.find("can't allocate memory") != text.npos || text.find("out of memory") != text.npos;
}

void within_memory(const std::string& what, const std::function<void()>& work) {
  try {
    work();
  } catch (const InputError&) {
    throw;
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) {
      throw;
    }
    throw InputError(what, "enough memory", memory_error_text(error.what()));
  }
}

}  // namespace softmoe
