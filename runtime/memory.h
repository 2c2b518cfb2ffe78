#pragma once
/// Memory that is left, and a limit that turns running out of it into an error.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace softmoe {

/// Bytes that can still be allocated: on a CPU what the system says is available (or what the
/// control group of the process leaves), on CUDA the device's free memory and libtorch's cache.
int64_t available_memory_bytes(const torch::Device& device);

/// Bytes in use now: by the process on a CPU, by libtorch's tensors on CUDA. What has been freed is
/// handed on to the system before it is counted.
int64_t memory_in_use_bytes(const torch::Device& device);

/// While one exists, the process cannot allocate more than the system has available: an allocation
/// beyond fails and becomes an error, where Linux would otherwise promise the memory and kill the
/// process when it is used. Does nothing for other devices than a CPU.
class MemoryLimit {
 public:
  explicit MemoryLimit(const torch::Device& device);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  std::optional<uint64_t> previous_;
};

/// Whether `error`, caught from libtorch or the standard library, says that memory ran out.
bool is_out_of_memory(const std::exception& error);

/// Runs `work`; where memory runs out, throws InputError that names `what`.
void within_memory(const std::string& what, const std::function<void()>& work);

}  // namespace softmoe
