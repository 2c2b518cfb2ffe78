#pragma once
/// Measures of how far the slots of soft routing differ from each other.

#include <torch/types.h>

#include <array>
#include <utility>

#include "softmoe/router.h"

namespace softmoe {

/// What MixingState holds, by the names of its records.
inline constexpr std::array<std::pair<const char*, torch::Tensor MixingState::*>, 6> kMixingFields{
    {{"scale", &MixingState::scale},
     {"combine_scale", &MixingState::combine_scale},
     {"dispatch_entropy", &MixingState::dispatch_entropy},
     {"combine_entropy", &MixingState::combine_entropy},
     {"input_similarity", &MixingState::input_similarity},
     {"output_similarity", &MixingState::output_similarity}}};

/// The mean entropy of the distributions along dimension `dim` of `weights`, as a share of that of
/// equal weights: [], 1 if all are equal. 1 for distributions of one value.
torch::Tensor relative_entropy(const torch::Tensor& weights, int64_t dim);

/// The mean cosine between two different slots of one image: [], 1 if there is one slot. `rows`
/// [experts, batch * slots per expert, dim] are the slots of `batch` images.
torch::Tensor slot_similarity(const torch::Tensor& rows, int64_t batch);

}  // namespace softmoe
