#include "runtime/device.h"

#include <torch/cuda.h>

#include "core/error.h"

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

}  // namespace softmoe
