#pragma once
/// Running out of memory as an error that names the work.

#include <torch/types.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>

namespace softmoe {

/// During its life the process cannot allocate more than the system has available: an allocation
/// beyond that fails and becomes an error. Without it Linux would promise the memory and kill the
/// process when it is used. Has no effect for devices other than a CPU.
class MemoryLimit {
 public:
  explicit MemoryLimit(const torch::Device& device);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  std::optional<uint64_t> previous_;
};

/// Returns true if `error`, caught from libtorch or the standard library, says that memory ran out.
bool is_out_of_memory(const std::exception& error);

/// Runs `work`; if memory runs out, throws InputError that names `what`.
void within_memory(const std::string& what, const std::function<void()>& work);

}  // namespace softmoe
