#pragma once
/// The options of a run in several processes.

#include <torch/types.h>

#include <cstdint>
#include <optional>

#include "core/options.h"
#include "core/precision.h"

namespace softmoe {

/// What several processes share out beside batches, and how they talk. In one process nothing here
/// has an effect.
struct ParallelOptions {
  int64_t expert_parallel = 1;  ///< processes that hold the experts of each layer together
  Precision exchange_dtype = Precision::kFloat32;  ///< of tokens that travel to experts and back
  Precision reduce_dtype = Precision::kFloat32;    ///< of the gradients that are summed

  bool operator==(const ParallelOptions&) const = default;
};

void describe(OptionTable& table, ParallelOptions& options);
/// The dtypes among them, of runs and of plans.
void describe_payloads(OptionTable& table, ParallelOptions& options);

/// The dtype in which fp32 values travel; nothing: as they are.
std::optional<torch::Dtype> payload_dtype(Precision precision);

}  // namespace softmoe
