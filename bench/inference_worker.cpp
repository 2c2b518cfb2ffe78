// softmoe as a contender in bench/peers/compare.py, where contenders take turns.
//
//     inference_worker limits
//     inference_worker MODEL BATCH DTYPE LIMITS
//
// The first form writes the limits of the machine as JSON, for LIMITS of the second form. The
// second form writes the minimum time of a batch when it is ready, and answers each line "go
// SECONDS" with the images per second of that time.
//
// MODEL is a model of the zoo with random weights.

#include <fmt/format.h>
#include <torch/types.h>

#include <string>

#include "bench/filled_model.h"
#include "bench/inference_limits.h"
#include "bench/run_bench.h"
#include "bench/take_turns.h"
#include "inference/inference_model.h"
#include "ops/compute_precision.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

void say_limits() {
  const auto limits = measure_limits();
  say({{"float32", limits.fp32_peak},
       {"bfloat16", limits.bf16_peak},
       {"int8", limits.int8_peak},
       {"bytes_per_second", limits.bandwidth}});
}

InferenceLimits limits_from(const Json& json) {
  return {.fp32_peak = json.at("float32"),
          .bf16_peak = json.at("bfloat16"),
          .int8_peak = json.at("int8"),
          .bandwidth = json.at("bytes_per_second")};
}

void predict_in_turns(const std::string& name, int64_t batch, Precision precision,
                      const InferenceLimits& limits) {
  const auto options = model_preset(name);
  InferenceModel model(filled_model(options, tensor_dtype(precision)), precision);
  torch::manual_seed(1);
  const auto images =
      torch::rand({batch, options.in_chans, options.image_height(), options.image_width()});
  for (int run = 0; run < 2; ++run) {
    TORCH_CHECK_VALUE(model.forward(images).isfinite().all().item<bool>(), "NaN or infinity");
  }
  const auto work = work_of(options, precision, model.weight_bytes(), batch);
  say({{"ready", true},
       {"matmul_seconds", work.operations / limits.peak(precision)},
       {"memory_seconds", work.bytes / limits.bandwidth},
       {"min_seconds", limits.min_seconds(precision, work)}});
  take_turns(batch, [&] { model.forward(images); });
}

int run(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "limits") {
    say_limits();
    return 0;
  }
  if (argc != 5) {
    fmt::print(stderr, "inference_worker: limits, or MODEL BATCH DTYPE LIMITS\n");
    return 2;
  }
  predict_in_turns(argv[1], std::stoll(argv[2]), inference_precision(argv[3], torch::kCPU),
                   limits_from(Json::parse(argv[4])));
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("inference_worker", argc, argv, softmoe::run);
}
