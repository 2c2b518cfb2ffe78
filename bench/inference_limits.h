#pragma once
/// What measurements of inference share.

#include <string>

#include "vit/vision_transformer.h"

namespace softmoe {

/// What a pass of a batch computes and which weights it reads; the experts' part is in the sums.
struct Work {
  double operations = 0;
  double bytes = 0;
  double expert_operations = 0;
  double expert_bytes = 0;
};

/// Of a model with `weight_bytes` packed weights in `dtype`.
Work work_of(const VitOptions& options, const std::string& dtype, int64_t weight_bytes,
             int64_t batch);

/// What the machine gives at most, to all threads together.
struct Limits {
  double fp32_peak = 0;  ///< operations per second of the best matrix product
  double bf16_peak = 0;
  double int8_peak = 0;
  double bandwidth = 0;  ///< bytes per second read from memory

  /// Of the products of inference in `dtype`.
  double peak(const std::string& dtype) const;
  /// Seconds that a pass takes at least: all products at the peak, or all weights read from memory
  /// once, whichever is longer, for the experts and for the rest of the model apart: the weights of
  /// experts are larger than the caches, so that they cannot be read before their turn.
  double least_seconds(const std::string& dtype, const Work& work) const;
};

/// Takes some ten seconds.
Limits measure_limits();

/// The model with weights of `dtype` that are of no use but to compute with.
VisionTransformer filled_model(const VitOptions& options, torch::Dtype dtype);

}  // namespace softmoe
