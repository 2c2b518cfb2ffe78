#include "runtime/memory/memory_limit.h"

#include <c10/util/Exception.h>
#include <sys/resource.h>

#include <algorithm>
#include <new>
#include <string_view>

#include "core/error.h"
#include "runtime/memory/memory_use.h"
#include "runtime/memory/proc_bytes.h"

namespace softmoe {
namespace {

/// The message of an allocator, without the place in its source.
std::string memory_error_text(const std::string& message) {
  const auto line = single_line(message);
  const auto start = std::min(line.find("can't allocate memory"), line.find("out of memory"));
  return start == line.npos ? "out of memory" : line.substr(start);
}

}  // namespace

MemoryLimit::MemoryLimit(const torch::Device& device) {
  if (!device.is_cpu()) {
    return;
  }
  const int64_t available = available_memory_bytes(device);  // first: it releases kept memory
  const auto in_use = proc_bytes("/proc/self/status", "VmData:");
  rlimit limit{};
  if (!in_use || ::getrlimit(RLIMIT_DATA, &limit) != 0) {
    return;
  }
  const rlim_t wanted = static_cast<rlim_t>(*in_use) + static_cast<rlim_t>(available);
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
