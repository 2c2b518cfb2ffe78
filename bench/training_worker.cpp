// softmoe as a contender in training in bench/peers/compare.py, where contenders take turns.
//
//     training_worker MODEL BATCH DTYPE
//
// Writes the peak of its memory as JSON when it has made two updates, and answers each line "go
// SECONDS" with the images per second of that time. bench/training_step.h says which models there
// are; DTYPE is float32 or bfloat16.

#include <ATen/Context.h>
#include <fmt/format.h>

#include <string>

#include "bench/run_bench.h"
#include "bench/take_turns.h"
#include "bench/training_step.h"
#include "ops/compute_precision.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

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
  say({{"ready", true}, {"peak_bytes", peak_memory_bytes(torch::kCPU)}});
  take_turns(batch, [&] { training.run(); });
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("training_worker", argc, argv, softmoe::run);
}
