#include "bench/inference_parts.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "core/device.h"
#include "core/initialization.h"
#include "core/thread_team.h"
#include "eval/matmul_peak.h"
#include "eval/vit_subject.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double memory_bandwidth() {
  const auto memory = torch::ones({int64_t{1} << 30}, torch::kUInt8);
  const auto* const words = reinterpret_cast<const uint64_t*>(memory.const_data_ptr());
  constexpr int64_t kWords = (int64_t{1} << 30) / int64_t{sizeof(uint64_t)};
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    std::atomic<uint64_t> total{0};
    const auto start = Clock::now();
    run_team([&](const Team& team) {
      const auto share = team.share(kWords, /*multiple=*/64);
      uint64_t sums[8]{};
      for (int64_t word = share.first; word + 8 <= share.last; word += 8) {
        __builtin_prefetch(words + word + 512, 0, 1);
        for (int64_t lane = 0; lane < 8; ++lane) {
          sums[lane] += words[word + lane];
        }
      }
      for (const auto sum : sums) {
        total += sum;
      }
    });
    best = std::max(best, static_cast<double>(kWords * 8) / seconds_since(start));
    TORCH_CHECK_VALUE(total > 0, "memory_bandwidth: nothing was read");
  }
  return best;
}

}  // namespace

double Limits::peak(const std::string& dtype) const {
  return dtype == "float32" ? fp32_peak : dtype == "int8" ? int8_peak : bf16_peak;
}

double Limits::least_seconds(const std::string& dtype, double operations, double bytes) const {
  return std::max(operations / peak(dtype), bytes / bandwidth);
}

Limits measure_limits() {
  return {.fp32_peak = 1e9 * measure_matmul_peak(torch::kCPU, torch::kFloat32),
          .bf16_peak = 1e9 * measure_matmul_peak(torch::kCPU, torch::kBFloat16),
          .int8_peak = 1e9 * measure_matmul_peak(torch::kCPU, torch::kInt8),
          .bandwidth = memory_bandwidth()};
}

VisionTransformer filled_model(const VitOptions& options, torch::Dtype dtype) {
  const SkipInitialization skip;
  const DefaultDtypeGuard parameters(dtype);
  VisionTransformer model(options);
  fill_parameters(*model);
  model->eval();
  return model;
}

}  // namespace softmoe
