#pragma once
/// Devices and compute dtypes. Nothing outside core names CUDA.

#include <torch/types.h>

#include <string>
#include <vector>

namespace softmoe {

/// "cpu", "cuda", "cuda:1" or "auto" (CUDA where present). Throws UsageError where there is none.
torch::Device parse_device(const std::string& name);

/// The devices of this machine that a test should run on: the CPU and the first CUDA device.
std::vector<torch::Device> present_devices();

/// Waits until `device` has finished its work; nothing to do on a CPU.
void synchronize(const torch::Device& device);

/// Largest memory in use so far, in bytes: of the process on a CPU, of the allocator on CUDA.
int64_t peak_memory_bytes(const torch::Device& device);
/// Starts the count of peak_memory_bytes again.
void reset_peak_memory(const torch::Device& device);

/// Autocast of `device` to `dtype` for the life of the object; float32 switches it off.
class AutocastGuard {
 public:
  AutocastGuard(const torch::Device& device, torch::Dtype dtype);
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  torch::DeviceType type_;
  bool was_enabled_;
  torch::Dtype previous_dtype_;
};

}  // namespace softmoe
