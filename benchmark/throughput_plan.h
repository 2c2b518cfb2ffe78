#pragma once
/// Which cases a benchmark of throughput measures, and which are too much for the machine.

#include <span>
#include <string>
#include <vector>

#include "benchmark/contestant.h"
#include "benchmark/throughput.h"

namespace softmoe {

/// One model with the batch sizes that it is measured at.
struct PlannedSubject {
  const ThroughputSubject* subject;
  std::vector<int64_t> batch_sizes;
};

/// All models that are measured in one mode and precision.
struct PlannedSetting {
  ThroughputSetting setting;
  double matmul_peak;  ///< GFLOP/s
  std::vector<PlannedSubject> subjects;
};

struct ThroughputPlan {
  std::vector<PlannedSetting> settings;
  std::vector<LeftOutCase> left_out;
};

/// The cases of all `subjects`, which must outlive the plan, with the peak of each precision.
/// Throws UsageError for training with 8-bit weights. Throws InputError if the weights of a model
/// do not fit into the memory alone, unless `options.max_batch_seconds` lets cases be left out.
ThroughputPlan plan_throughput(std::span<const ThroughputSubject> subjects,
                               const ThroughputOptions& options, const torch::Device& device,
                               const MatmulPeak& peak);

}  // namespace softmoe
