#pragma once
/// Statistics of the mixing weights of a layer (Puigcerver et al., section 5 and appendix E).

#include <torch/types.h>

#include "softmoe/router.h"

namespace softmoe {

/// Cosine similarities between pairs of different columns or rows: min, max and mean; NaN if there
/// is only one column or row.
struct Similarity {
  torch::Tensor min;   ///< []
  torch::Tensor max;   ///< []
  torch::Tensor mean;  ///< []
};

/// Summary of a layer's routing, averaged over the batch.
struct RoutingStatistics {
  torch::Tensor token_contribution;  ///< [batch, tokens]: dispatch weights of a token, summed
  torch::Tensor expert_importance;   ///< [experts]: combine weights of an expert, summed over slots
                                     ///< and tokens, relative to the least important expert
  torch::Tensor tokens_per_slot;     ///< [batch, slots]: tokens that carry 90 % of a slot's weight
  torch::Tensor slot_correlation;    ///< [slots, slots]: cosine similarity of dispatch columns
  torch::Tensor dispatch_min, dispatch_max;  ///< []: smallest and largest weight of a slot, mean
  torch::Tensor combine_min, combine_max;    ///< []: smallest and largest weight of a token, mean
  Similarity dispatch_similarity;            ///< between slots
  Similarity combine_similarity;             ///< between tokens
};

/// Statistics of `record`, whose weights must be defined.
RoutingStatistics routing_statistics(const RoutingRecord& record);

/// Similarity of the columns of `vectors` [..., dim, count], off the diagonal.
Similarity column_similarity(const torch::Tensor& vectors);

}  // namespace softmoe
