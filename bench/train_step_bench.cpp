// Images per second of one training step (forward, loss, backward, clipping, optimizer) of small
// vision transformers, by part of the step.
//
//     train_step_bench [MODEL ...] [--dtypes bf16 fp32] [--batch 64] [--seconds 3]
//
// bench/training_step.h says which models there are. With SOFTMOE_ISA=portable in the
// environment libtorch's operators do the work.

#include <ATen/Context.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <array>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "bench/run_bench.h"
#include "bench/training_step.h"
#include "ops/compute_precision.h"
#include "runtime/machine.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

/// Runs steps for `seconds` and prints one line.
void measure(const std::string& name, Precision precision, int64_t batch, double seconds) {
  at::manual_seed(1);
  TrainingStep training(training_model(name), tensor_dtype(precision), batch);
  std::array<double, 3> parts{};  // forward, backward, update
  const auto step = [&] {
    const auto result = training.run();
    for (size_t part = 0; part < parts.size(); ++part) {
      parts[part] += result.seconds[part];
    }
    return result.loss;
  };
  for (int warmup = 0; warmup < 2; ++warmup) {
    step();
  }
  parts = {};
  const int64_t faults = page_faults();
  const double processor_start = processor_seconds();
  const auto start = Clock::now();
  int64_t steps = 0;
  float loss = 0;
  double elapsed = 0;
  double best = 1e9;
  while (elapsed < seconds) {
    loss = step();
    ++steps;
    const double now = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, now - elapsed);
    elapsed = now;
  }
  const double ms = 1e3 / static_cast<double>(steps);
  fmt::print(
      "{:18} {:8} batch {:4}: {:7.0f} img/s (best step {:7.0f})  forward {:6.2f} backward {:6.2f} "
      "update {:5.2f} ms  processor {:6.2f} ms  faults/step {:6}  loss {:.4f}\n",
      name, enum_name(precision), batch, static_cast<double>(steps * batch) / elapsed,
      static_cast<double>(batch) / best, parts[0] * ms, parts[1] * ms, parts[2] * ms,
      (processor_seconds() - processor_start) * ms, (page_faults() - faults) / steps, loss);
}

int run(int argc, char** argv) {
  std::vector<std::string> models;
  std::vector<std::string> dtypes;
  int64_t batch = 64;
  double seconds = 3;
  auto* list = &models;
  for (int index = 1; index < argc; ++index) {
    const std::string word = argv[index];
    if (word == "--dtypes") {
      list = &dtypes;
    } else if (word == "--batch" && index + 1 < argc) {
      batch = std::stoll(argv[++index]);
    } else if (word == "--seconds" && index + 1 < argc) {
      seconds = std::stod(argv[++index]);
    } else {
      list->push_back(word);
    }
  }
  if (models.empty()) {
    models = {"demo", "demo_16x1", "p4_d192", "p4_d192_32x1"};
  }
  for (const auto& name : models) {
    for (const auto& dtype : dtypes.empty() ? std::vector<std::string>{"bf16"} : dtypes) {
      measure(name, parse_precision(dtype), batch, seconds);
    }
  }
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("train_step_bench", argc, argv, softmoe::run);
}
