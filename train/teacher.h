#pragma once
/// Teachers: what students are distilled from.

#include <torch/types.h>

#include "datasets/loader.h"

namespace softmoe {

/// One or several models that say what they see in the images of a student.
class Teacher {
 public:
  Teacher() = default;
  virtual ~Teacher() = default;
  Teacher(const Teacher&) = delete;
  Teacher& operator=(const Teacher&) = delete;

  /// Probabilities [batch, classes] fp32, on the device of the images and without gradient, of the
  /// images of `batch` as the student sees them, with logits divided by `temperature`. Throws
  /// InputError if they are not finite.
  virtual torch::Tensor probabilities(const Batch& batch, double temperature) = 0;
};

}  // namespace softmoe
