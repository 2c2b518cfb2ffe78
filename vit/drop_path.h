#pragma once
/// Stochastic depth.

#include <torch/types.h>

namespace softmoe {

/// Drops whole rows of the batch with probability `rate` and scales the rest by 1 / (1 - rate)
/// (Huang et al., arXiv:1603.09382); evaluation leaves `x` [batch, ...] as it is.
torch::Tensor drop_path(const torch::Tensor& x, double rate, bool training);

}  // namespace softmoe
