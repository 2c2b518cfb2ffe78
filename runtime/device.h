#pragma once
/// Devices. Nothing outside of runtime/ and the few files that exist for it names CUDA.

#include <torch/types.h>

#include <string>
#include <vector>

namespace softmoe {

/// "cpu", "cuda", "cuda:1" or "auto" (CUDA if present). Throws UsageError if there is no such
/// device.
torch::Device parse_device(const std::string& name);

/// The devices of this machine that a test should run on: the CPU and the first CUDA device.
std::vector<torch::Device> present_devices();

/// Waits until `device` has finished its work; returns at once for a CPU.
void synchronize(const torch::Device& device);

}  // namespace softmoe
