// Images per second of one training step (forward, loss, backward, clipping, optimizer) of small
// vision transformers, by part of the step.
//
//     train_step_bench [MODEL ...] [--dtypes bf16 fp32] [--batch 64] [--seconds 3]
//
// A model is one of the small ones below or of the zoo. With SOFTMOE_ISA=portable in the
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
#include "ops/compute_precision.h"
#include "runtime/machine.h"
#include "train/optimizers.h"
#include "train/train_step.h"
#include "vit/vision_transformer.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchModel {
  std::string name;
  int64_t patch_size;
  int64_t dim;
  int64_t heads;
  int64_t experts;  ///< 0: dense
  int64_t slots_per_expert;
};

const std::vector<BenchModel> kModels{
    {"dense_p7_d128", 7, 128, 4, 0, 0},     {"soft_p7_d128_16e", 7, 128, 4, 16, 1},
    {"dense_p4_d192", 4, 192, 3, 0, 0},     {"soft_p4_d192_32e", 4, 192, 3, 32, 1},
    {"soft_p7_d128_32e", 7, 128, 4, 32, 1}, {"dense_p4_d128", 4, 128, 4, 0, 0},
};

VitOptions small_model(const BenchModel& model) {
  VitOptions options;
  options.img_size = {28};
  options.in_chans = 1;
  options.patch_size = model.patch_size;
  options.dim = model.dim;
  options.heads = model.heads;
  options.depth = 6;
  options.mlp_dim = 4 * model.dim;
  options.num_classes = 395;
  if (model.experts > 0) {
    options.moe_blocks = "last_half";
    options.moe.experts = model.experts;
    options.moe.slots_per_expert = model.slots_per_expert;
  }
  return options;
}

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

VitOptions model_options(const std::string& name) {
  for (const auto& model : kModels) {
    if (model.name == name) {
      return small_model(model);
    }
  }
  return model_preset(name);
}

int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

/// Runs steps for `seconds` and prints one line.
void measure(const std::string& name, Precision precision, int64_t batch, double seconds) {
  at::manual_seed(1);
  const auto sizes = model_options(name);
  auto vit = VisionTransformer(sizes);
  vit->train();
  OptimizerOptions options;
  const auto optimizer = make_optimizer(named_parameters(*vit), options);
  const Batch examples{
      .images =
          torch::rand({batch, sizes.in_chans, sizes.image_height(), sizes.image_width()}) * 2 - 1,
      .labels = torch::randint(sizes.num_classes, {batch}),
      .indices = {}};
  std::array<double, 3> parts{};  // forward, backward, update
  const auto step = [&] {
    std::array<Clock::time_point, 4> at{};
    at[0] = Clock::now();
    const auto loss =
        step_loss(vit, examples, {}, {.compute_dtype = tensor_dtype(precision)}).loss;  // []
    at[1] = Clock::now();
    loss.backward();
    at[2] = Clock::now();
    optimizer->clip_and_step(/*lr=*/1e-3, options.clip_grad);
    optimizer->zero_grad();
    at[3] = Clock::now();
    for (size_t part = 0; part < parts.size(); ++part) {
      parts[part] += std::chrono::duration<double>(at[part + 1] - at[part]).count();
    }
    return loss.item<float>();
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
    for (const auto& model : kModels) {
      models.push_back(model.name);
    }
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
