// Images per second of prediction by packed models, and by the modules in turn with them.
//
//     inference_bench [MODEL ...] [--dtypes bfloat16 int8 ...] [--batches 1 8 32] [--rounds 5]
//                     [--seconds 0.5] [--no-modules]
//
// MODEL is a model of the zoo; the default is vit_s16, vit_b16 and softmoe_s16_128e. Modules run in
// float32 and bfloat16. `peak` is the share of the speed of the best matrix product, `bound` the
// share of the minimum time of the work: all products at that speed, or all weights read from
// memory once, whichever is longer.

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "bench/filled_model.h"
#include "bench/inference_limits.h"
#include "bench/run_bench.h"
#include "inference/inference_model.h"
#include "ops/compute_precision.h"
#include "runtime/memory/kept_memory.h"
#include "vit/cost.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::vector<std::string> models;
  std::vector<std::string> dtypes;
  std::vector<std::string> batches;
  int64_t rounds = 5;
  double seconds = 0.5;
  bool modules = true;
};

/// Something that turns images into logits.
struct Runner {
  std::string name;
  Precision precision;
  std::function<torch::Tensor(const torch::Tensor&)> run;
  double peak = 0;           // operations per second
  int64_t weight_bytes = 0;  // read once per batch, or more often
  std::vector<double> rates{};
};

std::vector<Runner> make_runners(const VitOptions& options, const BenchOptions& bench,
                                 const InferenceLimits& limits) {
  std::vector<Runner> runners;
  for (const auto& dtype : bench.dtypes) {
    const auto precision = inference_precision(dtype, torch::kCPU);
    auto model = filled_model(options, tensor_dtype(precision));
    if (bench.modules && !has_8_bit_weights(precision)) {
      runners.push_back({.name = "modules",
                         .precision = precision,
                         .run =
                             [model, precision](const torch::Tensor& images) mutable {
                               const torch::InferenceMode inference;
                               return model->forward(images.to(tensor_dtype(precision)));
                             },
                         .peak = limits.peak(precision)});
    }
    const auto start = Clock::now();
    auto packed = std::make_shared<InferenceModel>(std::move(model), precision);
    fmt::print("{} packed in {:.2f} s\n", dtype, seconds_since(start));
    runners.push_back(
        {.name = packed->is_packed() ? "packed" : "unpacked",
         .precision = precision,
         .run = [packed](const torch::Tensor& images) { return packed->forward(images); },
         .peak = limits.peak(precision),
         .weight_bytes = packed->weight_bytes()});
    if (!bench.modules) {
      continue;
    }
    // The modules read as many bytes as the packed model.
    if (runners.size() > 1 && runners[runners.size() - 2].weight_bytes == 0) {
      runners[runners.size() - 2].weight_bytes = runners.back().weight_bytes;
    }
  }
  return runners;
}

void measure_batch(const std::string& name, const VitOptions& options, int64_t batch,
                   const BenchOptions& bench, const InferenceLimits& limits,
                   std::vector<Runner>& runners) {
  torch::manual_seed(1);
  const auto images =
      torch::rand({batch, options.in_chans, options.image_height(), options.image_width()}) * 2 - 1;
  for (auto& runner : runners) {
    runner.rates.clear();
    const auto logits = runner.run(images).to(torch::kFloat32);
    TORCH_CHECK_VALUE(logits.isfinite().all().item<bool>(), "inference_bench: NaN or infinity");
  }
  for (int64_t round = 0; round < bench.rounds; ++round) {
    for (auto& runner : runners) {
      const auto start = Clock::now();
      int64_t runs = 0;
      do {
        runner.run(images);
        ++runs;
      } while (seconds_since(start) < bench.seconds);
      runner.rates.push_back(static_cast<double>(runs * batch) / seconds_since(start));
    }
  }
  const double operations = model_cost(options).gflop * 1e9 * static_cast<double>(batch);
  for (auto& runner : runners) {
    std::sort(runner.rates.begin(), runner.rates.end());
    const double median = runner.rates[runner.rates.size() / 2];
    const double time = static_cast<double>(batch) / median;
    const double bound = limits.min_seconds(
        runner.precision, work_of(options, runner.precision, runner.weight_bytes, batch));
    fmt::print(
        "{:18} {:8} {:12} batch {:3}: {:7.2f} img/s (best {:7.2f}) {:8.2f} ms/img  peak "
        "{:3.0f} %  bound {:3.0f} %\n",
        name, runner.name, enum_name(runner.precision), batch, median, runner.rates.back(),
        1e3 / median, 100 * operations / time / runner.peak, 100 * bound / time);
  }
  std::fflush(stdout);
}

BenchOptions parse(int argc, char** argv) {
  BenchOptions options;
  auto* list = &options.models;
  for (int index = 1; index < argc; ++index) {
    const std::string argument = argv[index];
    if (argument == "--dtypes") {
      list = &options.dtypes;
    } else if (argument == "--batches") {
      list = &options.batches;
    } else if (argument == "--no-modules") {
      options.modules = false;
    } else if (argument == "--rounds" && index + 1 < argc) {
      options.rounds = std::stoll(argv[++index]);
    } else if (argument == "--seconds" && index + 1 < argc) {
      options.seconds = std::stod(argv[++index]);
    } else {
      list->push_back(argument);
    }
  }
  const auto default_to = [](std::vector<std::string>& names, std::vector<std::string> values) {
    if (names.empty()) {
      names = std::move(values);
    }
  };
  default_to(options.models, {"vit_s16", "vit_b16", "softmoe_s16_128e"});
  default_to(options.dtypes, {"float32", "bfloat16", "int8", "int8_experts"});
  default_to(options.batches, {"1", "8", "32"});
  return options;
}

int run(int argc, char** argv) {
  const auto options = parse(argc, argv);
  const auto limits = measure_limits();
  fmt::print("matmul peak {:.0f} GFLOP/s fp32, {:.0f} bf16; memory {:.1f} GB/s\n",
             limits.fp32_peak / 1e9, limits.bf16_peak / 1e9, limits.bandwidth / 1e9);
  for (const auto& name : options.models) {
    const auto sizes = model_preset(name);
    auto runners = make_runners(sizes, options, limits);
    for (const auto& batch : options.batches) {
      measure_batch(name, sizes, std::stoll(batch), options, limits, runners);
    }
    runners.clear();
    release_kept_memory();
  }
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("inference_bench", argc, argv, softmoe::run);
}
