// The time from a checkpoint on the disk to a model that is ready to predict, and of reading the
// file.
//
//     start_bench --make MODEL FILE        a checkpoint of a zoo model in bfloat16, random weights
//     start_bench FILE [--dtype bfloat16] [--rounds 3] [--cold] [--settle 0]
//
// Each round measures three times. `touch`: writing once to new memory of the file's size, the time
// in which the system hands out that memory. `read`: reading the whole file as cat does. `ready`:
// another process loads the model and packs it, from the path to the moment at which it can
// predict; its maximum memory is measured too. --cold drops the file from the system's cache before
// it is read. --settle waits so many seconds before each measurement: virtual machines give free
// memory back to their host within seconds, and to get it again can take longer than to read the
// file.

#include <ATen/Context.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "bench/filled_model.h"
#include "bench/run_bench.h"
#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "inference/predictor.h"
#include "runtime/memory/memory_use.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string file;
  std::string dtype = "bfloat16";
  std::string make;
  int64_t rounds = 3;
  int64_t settle = 0;
  bool cold = false;
  bool is_child = false;
};

void make_checkpoint(const std::string& name, const std::string& path) {
  const auto options = model_preset(name);
  Checkpoint checkpoint;
  checkpoint.metadata = to_metadata({.name = name,
                                     .options = options,
                                     .class_names = {},
                                     .preprocess = default_preprocess(options)});
  checkpoint.model = named_tensors(*filled_model(options, torch::kBFloat16));
  save_checkpoint(path, checkpoint);
}

/// Loads the model and prints seconds and memory for the parent process.
void load(const BenchOptions& options) {
  const int64_t before = peak_memory_bytes(torch::kCPU);
  const auto start = Clock::now();
  Predictor predictor(load_weights(options.file), options.file,
                      inference_precision(options.dtype, torch::kCPU), torch::kCPU);
  const double seconds = seconds_since(start);
  fmt::print("{} {} {}\n", seconds, before, peak_memory_bytes(torch::kCPU));
}

struct Ready {
  double seconds = 0;
  int64_t bytes_before = 0;
  int64_t peak_bytes = 0;
};

Ready load_in_process(const std::string& program, const BenchOptions& options) {
  const auto command =
      fmt::format("'{}' '{}' --dtype {} --child", program, options.file, options.dtype);
  FILE* const output = ::popen(command.c_str(), "r");
  Ready ready;
  const int found = output == nullptr ? 0
                                      : std::fscanf(output, "%lf %ld %ld", &ready.seconds,
                                                    &ready.bytes_before, &ready.peak_bytes);
  if (output == nullptr || ::pclose(output) != 0 || found != 3) {
    throw InputError(options.file, "a checkpoint that can be loaded", "an error");
  }
  return ready;
}

int open_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    throw InputError("cannot read " + path);
  }
  return file;
}

/// Drops a file from the cache of the system.
void drop_from_cache(const std::string& path) {
  const int file = open_file(path);
  ::fdatasync(file);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
}

/// Brings file and memory into the state that the options ask for.
void settle(const BenchOptions& options) {
  if (options.cold) {
    drop_from_cache(options.file);
  }
  std::this_thread::sleep_for(std::chrono::seconds(options.settle));
}

double read_seconds(const std::string& path) {
  std::vector<char> buffer(128 << 10);
  const auto start = Clock::now();
  const int file = open_file(path);
  while (::read(file, buffer.data(), buffer.size()) > 0) {
  }
  ::close(file);
  return seconds_since(start);
}

double touch_seconds(size_t bytes) {
  constexpr size_t kPage = size_t{2} << 20;
  auto* const memory = static_cast<char*>(
      ::mmap(nullptr, bytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  TORCH_CHECK(memory != MAP_FAILED, "no memory");
  ::madvise(memory, bytes + kPage, MADV_HUGEPAGE);
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  const auto count = static_cast<size_t>(at::get_num_threads());
  for (size_t rank = 0; rank < count; ++rank) {
    threads.emplace_back([=] {
      for (size_t at = bytes / count * rank; at < bytes / count * (rank + 1); at += 4096) {
        memory[at] = 1;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  const double seconds = seconds_since(start);
  ::munmap(memory, bytes + kPage);
  return seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(const std::string& program, const BenchOptions& options) {
  const auto bytes = static_cast<double>(fs::file_size(options.file));
  std::vector<double> ratios;
  for (int64_t round = 0; round < options.rounds; ++round) {
    settle(options);
    const double touch = touch_seconds(static_cast<size_t>(bytes));
    settle(options);
    const double read = read_seconds(options.file);
    settle(options);
    const auto ready = load_in_process(program, options);
    ratios.push_back(ready.seconds / read);
    fmt::print(
        "{:.2f} GB {}: touch {:6.2f} s, read {:6.2f} s, ready {:6.2f} s = {:.2f} x read; peak "
        "{:.2f} GB = {:.3f} x file ({:.2f} GB before loading)\n",
        bytes / 1e9, options.cold ? "cold" : "warm", touch, read, ready.seconds,
        ready.seconds / read, static_cast<double>(ready.peak_bytes) / 1e9,
        static_cast<double>(ready.peak_bytes) / bytes,
        static_cast<double>(ready.bytes_before) / 1e9);
    std::fflush(stdout);
  }
  fmt::print("median: ready in {:.2f} x the time of reading\n", median(ratios));
}

BenchOptions parse(int argc, char** argv) {
  BenchOptions options;
  for (int index = 1; index < argc; ++index) {
    const std::string argument = argv[index];
    if (argument == "--make" && index + 1 < argc) {
      options.make = argv[++index];
    } else if (argument == "--dtype" && index + 1 < argc) {
      options.dtype = argv[++index];
    } else if (argument == "--rounds" && index + 1 < argc) {
      options.rounds = std::stoll(argv[++index]);
    } else if (argument == "--settle" && index + 1 < argc) {
      options.settle = std::stoll(argv[++index]);
    } else if (argument == "--cold") {
      options.cold = true;
    } else if (argument == "--child") {
      options.is_child = true;
    } else {
      options.file = argument;
    }
  }
  if (options.file.empty()) {
    throw UsageError("FILE", "a checkpoint", "none");
  }
  return options;
}

int run(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options.make.empty()) {
    make_checkpoint(options.make, options.file);
  } else if (options.is_child) {
    load(options);
  } else {
    measure(argv[0], options);
  }
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("start_bench", argc, argv, softmoe::run);
}
