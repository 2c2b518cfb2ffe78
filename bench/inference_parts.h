#pragma once
/// What measurements of inference share.

#include <string>

#include "vit/vision_transformer.h"

namespace softmoe {

/// What the machine gives at most, to all threads together.
struct Limits {
  double fp32_peak = 0;  ///< operations per second of the best matrix product
  double bf16_peak = 0;
  double int8_peak = 0;
  double bandwidth = 0;  ///< bytes per second read from memory

  /// Of the products of inference in `dtype`.
  double peak(const std::string& dtype) const;
  /// Seconds that `operations` on weights of `bytes` take at least: all products at the peak, or
  /// all weights read from memory once, whichever is longer.
  double least_seconds(const std::string& dtype, double operations, double bytes) const;
};

/// Takes some ten seconds.
Limits measure_limits();

/// The model with weights of `dtype` that are of no use but to compute with.
VisionTransformer filled_model(const VitOptions& options, torch::Dtype dtype);

}  // namespace softmoe
