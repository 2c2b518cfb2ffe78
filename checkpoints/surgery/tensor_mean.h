#pragma once
/// The mean of tensors of the same names.

#include <cstdint>

#include "core/named_tensors.h"

namespace softmoe {

/// Sums up the weights of models of one architecture. Copies are independent of each other.
class TensorMean {
 public:
  /// Adds `tensors`, which have the names and shapes of the first ones.
  void add(const NamedTensors& tensors);

  int64_t count() const { return count_; }
  /// The mean of floating tensors, in the dtypes of the first ones, and the first of others. Throws
  /// c10::ValueError if there are none.
  NamedTensors mean() const;

 private:
  NamedTensors first_;
  NamedTensors sums_;  // fp64 of floating tensors
  int64_t count_ = 0;
};

}  // namespace softmoe
