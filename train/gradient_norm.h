#pragma once
/// The norm of all gradients of a model, and clipping by it.

#include <torch/types.h>

#include <vector>

namespace softmoe {

/// The Euclidean norm of all `gradients` together, [], fp32. If it exceeds `max_norm` > 0 they are
/// scaled in place to that norm.
torch::Tensor clip_gradient_norm(const std::vector<torch::Tensor>& gradients, double max_norm);

}  // namespace softmoe
