#pragma once
/// Throughput of several models side by side, made to be compared: all run in one process, round
/// by round in turn, so that what disturbs the machine disturbs all models alike.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "benchmark/matmul_peak.h"
#include "benchmark/throughput_record.h"
#include "benchmark/throughput_subject.h"
#include "core/options.h"

namespace softmoe {

struct ThroughputOptions {
  ThroughputMode mode = ThroughputMode::kInfer;
  std::vector<int64_t> batch_sizes{1, 8};
  std::vector<std::string> dtypes{"auto"};  ///< fastest_precision(), or as parse_precision reads
  int64_t rounds = 5;
  double round_seconds = 1.0;
  std::string baseline{};
  double max_batch_seconds = 0;  ///< 0: nothing is left out

  bool operator==(const ThroughputOptions&) const = default;
};

void describe(OptionTable& table, ThroughputOptions& options);

/// How the GFLOP/s that `matmul_share` refers to are found.
using MatmulPeak = std::function<double(const torch::Device& device, torch::Dtype dtype)>;

struct ThroughputResults {
  std::vector<ThroughputRecord> records;
  std::vector<LeftOutCase> left_out;
};

/// Measures all `subjects`. Each model's output is checked once, for shape and finite values,
/// before it is timed. The batch size is never changed: if memory does not suffice or the check
/// fails, throws InputError that names model, mode, precision and batch. Throws UsageError for a
/// baseline that is no subject and for training with 8-bit weights.
ThroughputResults measure_throughput(std::span<const ThroughputSubject> subjects,
                                     const ThroughputOptions& options, const torch::Device& device,
                                     const MatmulPeak& peak = measure_matmul_peak);

}  // namespace softmoe
