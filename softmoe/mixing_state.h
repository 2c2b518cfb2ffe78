#pragma once
/// Measures of how far the slots of soft routing differ from each other.

#include <torch/types.h>

namespace softmoe {

/// The mean entropy of the distributions along dimension `dim` of `weights`, as a share of that of
/// equal weights: [], 1 if all are equal. 1 for distributions of one value.
torch::Tensor relative_entropy(const torch::Tensor& weights, int64_t dim);

/// The mean cosine between two different slots of one image: [], 1 if there is one slot. `rows`
/// [experts, batch * slots per expert, dim] are the slots of `batch` images.
torch::Tensor slot_similarity(const torch::Tensor& rows, int64_t batch);

}  // namespace softmoe
