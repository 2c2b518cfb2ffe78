#pragma once
/// The activation inside MLPs and experts.

#include <torch/types.h>

#include "core/activation.h"

namespace softmoe {

/// `activation` of `x` [..., channels]: of the same shape, but for kSwiGlu, whose first half of the
/// channels are gates and whose second half are values: [..., channels / 2].
torch::Tensor activate(const torch::Tensor& x, Activation activation);

}  // namespace softmoe
