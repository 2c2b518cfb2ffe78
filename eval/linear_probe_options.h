#pragma once
/// Options of the linear probe.

#include <cstdint>
#include <vector>

#include "core/options.h"
#include "datasets/sampling.h"

namespace softmoe {

/// How to train; the defaults are those of DINOv2.
struct LinearProbeOptions {
  /// One classifier each; for batches of 256, scaled in proportion to the batch size.
  std::vector<double> learning_rates{1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                     2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1};
  int64_t epochs = 10;
  int64_t epoch_length = 1250;      ///< updates
  int64_t probe_batch_size = 1024;  ///< features of an update
  double held_out = 0.1;            ///< share of each class's training examples
  SamplingOptions sampling{};
  int64_t seed = 0;

  bool operator==(const LinearProbeOptions&) const = default;

  int64_t updates() const { return epochs * epoch_length; }
};
void describe(OptionTable& table, LinearProbeOptions& options);

/// Throws UsageError unless there are learning rates, and all numbers are in their ranges.
void validate(const LinearProbeOptions& options);

}  // namespace softmoe
