#pragma once
/// Handwritten digits that are part of the program.

#include <memory>

#include "datasets/dataset.h"
#include "datasets/splits.h"

namespace softmoe {

/// 1,797 handwritten digits of 8x8 pixels, gray, white on black: 898 to train on, the other 899 by
/// other writers. Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI
/// Machine Learning Repository (its test set, values 0 to 16 scaled to 0 to 255), CC BY 4.0.
std::unique_ptr<Dataset> open_digits(SplitKind split);

}  // namespace softmoe
