#include "bench/inference_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "bench/run_bench.h"
#include "benchmark/matmul_peak.h"
#include "runtime/thread_team.h"
#include "vit/cost.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

double memory_bandwidth() {
  const auto memory = torch::ones({int64_t{1} << 30}, torch::kUInt8);
  const auto* const bytes = memory.const_data_ptr<uint8_t>();
  constexpr int64_t kLine = 64;
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    std::atomic<uint64_t> total{0};
    const auto start = std::chrono::steady_clock::now();
    run_team([&](const ThreadTeam& team) {
      const auto share = team.share(memory.numel(), kLine);
      uint64_t sum = 0;
      for (int64_t at = share.first; at < share.last; at += kLine) {
        __builtin_prefetch(bytes + at + 64 * kLine, 0, 1);
        sum += bytes[at];
      }
      total += sum;
    });
    best = std::max(best, static_cast<double>(memory.numel()) / seconds_since(start));
    TORCH_CHECK_VALUE(total > 0, "memory_bandwidth: nothing was read");
  }
  return best;
}

}  // namespace

double InferenceLimits::peak(Precision precision) const {
  return precision == Precision::kFloat32 ? fp32_peak
         : precision == Precision::kInt8  ? int8_peak
                                          : bf16_peak;
}

double InferenceLimits::min_seconds(Precision precision, const InferenceWork& work) const {
  const auto phase = [&](double operations, double bytes) {
    return std::max(operations / peak(precision), bytes / bandwidth);
  };
  return phase(work.expert_operations, work.expert_bytes) +
         phase(work.operations - work.expert_operations, work.bytes - work.expert_bytes);
}

InferenceWork work_of(const VitOptions& options, Precision precision, int64_t weight_bytes,
                      int64_t batch) {
  InferenceWork work{.operations = 1e9 * model_cost(options).gflop * static_cast<double>(batch),
                     .bytes = static_cast<double>(weight_bytes)};
  if (!has_moe(options)) {
    return work;
  }
  const auto layer = moe_layer_options(options);
  const auto mask = moe_block_mask(options.moe_blocks, options.depth);
  const auto layers = std::count(mask.begin(), mask.end(), true);
  const auto weights = static_cast<double>(2 * options.dim * options.mlp_dim);  // of an expert
  const auto experts = static_cast<double>(layers * layer.moe.experts);
  const double width = has_8_bit_weights(precision) ? 1 : precision == Precision::kFloat32 ? 4 : 2;
  work.expert_bytes = experts * weights * width;
  work.expert_operations =
      2 * experts * weights * static_cast<double>(batch * slots_per_expert(layer));
  return work;
}

InferenceLimits measure_limits() {
  return {.fp32_peak = 1e9 * measure_matmul_peak(torch::kCPU, torch::kFloat32),
          .bf16_peak = 1e9 * measure_matmul_peak(torch::kCPU, torch::kBFloat16),
          .int8_peak = 1e9 * measure_matmul_peak(torch::kCPU, torch::kInt8),
          .bandwidth = memory_bandwidth()};
}

}  // namespace softmoe
