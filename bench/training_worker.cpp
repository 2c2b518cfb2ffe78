// softmoe as a contender in training in bench/peers/compare.py, where contenders take turns.
//
//     training_worker MODEL BATCH DTYPE
//
// Writes the peak of its memory as JSON when it has made two updates, and answers each line "go
// SECONDS" with the images per second of that time. bench/training_step.h says which models there
// are; DTYPE is float32 or bfloat16.

#include <ATen/Context.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <iostream>
#include <string>

#include "bench/run_bench.h"
#include "bench/training_step.h"
#include "core/options.h"
#include "ops/compute_precision.h"

namespace softmoe {
namespace {

void say(const Json& line) { std::cout << line.dump() << std::endl; }

int64_t peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

/// Images per second of whole updates for at least `seconds`.
double rate(TrainingStep& training, int64_t batch, double seconds) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t count = batch;; count += batch) {
    training.run();
    const double elapsed = seconds_since(start);
    if (elapsed >= seconds) {
      return static_cast<double>(count) / elapsed;
    }
  }
}

int run(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "training_worker: MODEL BATCH DTYPE\n");
    return 2;
  }
  const int64_t batch = std::stoll(argv[2]);
  at::manual_seed(1);
  TrainingStep training(training_model(argv[1]), tensor_dtype(parse_precision(argv[3])), batch);
  training.run();
  training.run();
  say({{"ready", true}, {"peak_bytes", peak_bytes()}});
  std::string go;
  double seconds = 0;
  while (std::cin >> go >> seconds) {
    say(rate(training, batch, seconds));
  }
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("training_worker", argc, argv, softmoe::run);
}
