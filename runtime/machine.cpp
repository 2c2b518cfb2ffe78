#include "runtime/machine.h"

#include <ATen/Parallel.h>
#include <sched.h>
#include <torch/cuda.h>
#include <torch/version.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/version.h"
#include "runtime/memory/kept_memory.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

int64_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// Replaces this process by a new run of its program; returns if that is impossible.
void start_again() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) {
    arguments.push_back(argument);
  }
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (arguments.empty() || error) {
    return;
  }
  std::vector<char*> argv;
  for (auto& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
}

}  // namespace

Json machine_description(const std::string& isa) {
  Json machine;
  machine["processor"] = processor_name();
  machine["isa"] = isa;
  machine["cores"] = usable_cores();
  machine["threads"] = at::get_num_threads();
  machine["memory_bytes"] = total_memory_bytes(torch::kCPU);
  machine["cuda_devices"] = static_cast<int64_t>(torch::cuda::device_count());
  if (torch::cuda::is_available()) {
    machine["cuda_memory_bytes"] = total_memory_bytes({torch::kCUDA, 0});
  }
  machine["softmoe"] = kVersion;
  machine["libtorch"] = TORCH_VERSION;
  machine["compiler"] = __VERSION__;
  return machine;
}

void prepare_process(bool may_start_again) {
  keep_freed_memory();
  if (may_start_again && std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
    start_again();
  }
}

void set_compute_threads(int64_t threads) {
  at::set_num_threads(static_cast<int>(threads > 0 ? threads : usable_cores()));
}

}  // namespace softmoe
