#include "runtime/device.h"

#include <ATen/autocast_mode.h>
#include <sys/resource.h>
#include <torch/cuda.h>

#include <fstream>

#include "core/error.h"
#include "runtime/large_memory.h"
#ifdef SOFTMOE_WITH_CUDA
#include "runtime/device_memory.h"
#endif

namespace softmoe {

torch::Device parse_device(const std::string& name) {
  if (name == "auto") {
    return torch::cuda::is_available() ? torch::Device(torch::kCUDA, 0) : torch::kCPU;
  }
  if (name == "cpu") {
    return torch::kCPU;
  }
  if (name.starts_with("cuda")) {
    const auto count = static_cast<int>(torch::cuda::device_count());
    const std::string digits = name.size() > 5 ? name.substr(5) : "0";
    const bool is_number = digits.find_first_not_of("0123456789") == std::string::npos;
    if (is_number && digits.size() < 4 && std::stoi(digits) < count) {
      return {torch::kCUDA, static_cast<c10::DeviceIndex>(std::stoi(digits))};
    }
    throw UsageError("device",
                     count == 0 ? "cpu, as there is no CUDA device here"
                                : "one of the CUDA devices here, 0 to " + std::to_string(count - 1),
                     "'" + name + "'");
  }
  throw UsageError("device", "auto, cpu, cuda or cuda:<index>", "'" + name + "'");
}

std::vector<torch::Device> present_devices() {
  std::vector<torch::Device> devices{torch::kCPU};
  if (torch::cuda::is_available()) {
    devices.emplace_back(torch::kCUDA, 0);
  }
  return devices;
}

void synchronize(const torch::Device& device) {
  if (device.is_cuda()) {
    torch::cuda::synchronize(device.index());
  }
}

int64_t peak_memory_bytes(const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    return cuda_peak_memory_bytes(device.index());
  }
#endif
  (void)device;
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    int64_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes) {
      return kibibytes * 1024;
    }
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

void reset_peak_memory(const torch::Device& device) {
#ifdef SOFTMOE_WITH_CUDA
  if (device.is_cuda()) {
    cuda_reset_peak_memory(device.index());
    return;
  }
#endif
  (void)device;
  release_large_memory();                         // what is kept, but not in use, does not count
  std::ofstream("/proc/self/clear_refs") << "5";  // Linux: the peak becomes the present size
}

// Devices without autocast (meta) have no state to switch.
AutocastGuard::AutocastGuard(const torch::Device& device, torch::Dtype dtype)
    : type_(device.type()), was_enabled_(false), previous_dtype_(torch::kFloat32) {
  if (!at::autocast::is_autocast_available(type_)) {
    return;
  }
  was_enabled_ = at::autocast::is_autocast_enabled(type_);
  previous_dtype_ = at::autocast::get_autocast_dtype(type_);
  at::autocast::set_autocast_enabled(type_, dtype != torch::kFloat32);
  if (dtype != torch::kFloat32) {
    at::autocast::set_autocast_dtype(type_, dtype);
  }
  at::autocast::increment_nesting();
}

AutocastGuard::~AutocastGuard() {
  if (!at::autocast::is_autocast_available(type_)) {
    return;
  }
  if (at::autocast::decrement_nesting() == 0) {
    at::autocast::clear_cache();
  }
  at::autocast::set_autocast_enabled(type_, was_enabled_);
  at::autocast::set_autocast_dtype(type_, previous_dtype_);
}

}  // namespace softmoe
