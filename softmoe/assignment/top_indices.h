#pragma once
/// Top-K with an order among ties.

#include <torch/types.h>

namespace softmoe {

/// Indices [..., count] int64 of the `count` largest of each row of `scores` [..., size], by
/// falling score; the lower index comes first among equal scores, which torch::topk leaves open.
/// Where NaN ranks is unspecified, but indices of a row are always distinct. Throws c10::ValueError
/// if count is not between 1 and size.
torch::Tensor top_indices(const torch::Tensor& scores, int64_t count);

}  // namespace softmoe
