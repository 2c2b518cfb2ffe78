#pragma once
/// Activations that are computed again in the backward pass instead of kept.

#include <torch/types.h>

#include <functional>
#include <vector>

namespace softmoe {

/// run(input), of which nothing is kept but `input`: the backward pass calls `run` again to get
/// what its gradients need (Chen et al., arXiv:1604.06174). Random numbers, autocast and the
/// tensors `state` that `run` changes are for the second call what they were for the first, so
/// gradients are equal to those of run(input). Parameters that `run` uses get their gradients as
/// usual.
torch::Tensor recomputed(const torch::Tensor& input, const std::vector<torch::Tensor>& state,
                         const std::function<torch::Tensor(const torch::Tensor&)>& run);

}  // namespace softmoe
