#pragma once
/// The limits of a machine that measurements of inference are compared with.

#include <cstdint>

#include "core/precision.h"
#include "vit/options.h"

namespace softmoe {

/// The work of one batch: operations and bytes of weights, and the part of experts in both.
struct InferenceWork {
  double operations = 0;
  double bytes = 0;
  double expert_operations = 0;
  double expert_bytes = 0;
};

/// The work of a model with `weight_bytes` bytes of packed weights in `precision`.
InferenceWork work_of(const VitOptions& options, Precision precision, int64_t weight_bytes,
                      int64_t batch);

/// The speed of all threads of a machine together.
struct InferenceLimits {
  double fp32_peak = 0;  ///< operations per second of the best matrix product
  double bf16_peak = 0;
  double int8_peak = 0;
  double bandwidth = 0;  ///< bytes per second read from memory

  /// Of the products of inference in `precision`.
  double peak(Precision precision) const;
  /// The minimum time of `work`: all products at the peak, or all weights read from memory once,
  /// whichever is longer. It is the sum for the experts and for the rest of the model: the weights
  /// of experts are larger than the caches, so that they cannot be read in advance.
  double min_seconds(Precision precision, const InferenceWork& work) const;
};

/// Takes some ten seconds.
InferenceLimits measure_limits();

}  // namespace softmoe
