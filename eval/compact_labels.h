#pragma once
/// Labels of the classes that a training set has.

#include <torch/types.h>

#include <cstdint>

#include "eval/feature_set.h"

namespace softmoe {

/// Labels that number only the classes that occur in a training set. A class without examples would
/// be learned as "never", and could still have the largest score.
struct CompactLabels {
  torch::Tensor train;  ///< [train examples] int64 on the CPU
  torch::Tensor test;   ///< [test examples] int64 on the CPU
  int64_t classes = 0;
};

/// Throws InputError for a label of `test` that no example of `train` has.
CompactLabels compact_labels(const FeatureSet& train, const FeatureSet& test);

}  // namespace softmoe
