#include "runtime/machine.h"

#include <ATen/Parallel.h>
#include <malloc.h>
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
#include "runtime/large_memory.h"
#ifdef SOFTMOE_WITH_CUDA
#include "runtime/device_memory.h"
#endif

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

/// Replaces this process by a new run of its program; returns where that is impossible.
void start_again() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) {
    words.push_back(word);
  }
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (words.empty() || error) {
    return;
  }
  std::vector<char*> arguments;
  for (auto& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  ::execv(program.c_str(), arguments.data());
}

}  // namespace

Json machine_description() {
  Json machine;
  machine["processor"] = processor_name();
  machine["cores"] = usable_cores();
  machine["threads"] = at::get_num_threads();
  machine["memory_bytes"] =
      static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  machine["cuda_devices"] = static_cast<int64_t>(torch::cuda::device_count());
#ifdef SOFTMOE_WITH_CUDA
  if (torch::cuda::is_available()) {
    machine["cuda_memory_bytes"] = cuda_total_memory_bytes(0);
  }
#endif
  machine["softmoe"] = kVersion;
  machine["libtorch"] = TORCH_VERSION;
  machine["compiler"] = __VERSION__;
  return machine;
}

void prepare_process(bool may_start_again) {
  keep_large_tensors();
  // Other memory above the first limit goes back to the system when it is freed, so that a model of
  // gigabytes leaves room for the next one.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ::mallopt(M_TOP_PAD, 64 << 20);
  if (may_start_again && std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
    start_again();
  }
}

void set_compute_threads(int64_t threads) {
  at::set_num_threads(static_cast<int>(threads > 0 ? threads : usable_cores()));
}

}  // namespace softmoe
