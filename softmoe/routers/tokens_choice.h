#pragma once
/// The steps of routing in which tokens choose experts: the top K of a linear router, each expert
/// up to its capacity.
///
/// Sources: V-MoE (Riquelme et al., arXiv:2106.05974), Switch (Fedus et al., arXiv:2101.03961),
/// ST-MoE (Zoph et al., arXiv:2202.08906), loss-free balancing (Wang et al., arXiv:2408.15664).

#include <torch/types.h>

#include "softmoe/sparse_options.h"

namespace softmoe {

/// The experts that each token asks for, its best first.
struct ChosenExperts {
  torch::Tensor expert;    ///< [groups, tokens, top_k] int64; -1 if a token asks for none
  torch::Tensor gate;      ///< [groups, tokens, top_k]: factor of the expert's output
  torch::Tensor priority;  ///< [groups, tokens]: the largest gate, not renormalised, no gradient
};

/// The top K experts of each token by `logits` [groups, tokens, experts], ties to the lowest index.
/// `selection_bias` [experts], or undefined, is added to the gates for the selection alone.
ChosenExperts choose_experts(const torch::Tensor& logits, const torch::Tensor& selection_bias,
                             const SparseOptions& options);

/// ST-MoE's stochastic choice: `chosen.expert` [groups, tokens, top_k], of which each expert after
/// the first stays with probability min(1, gate / threshold) and is -1 otherwise.
torch::Tensor sample_later_choices(const ChosenExperts& chosen, double threshold);

/// Where each (token, choice) pair goes.
struct ChoicePlaces {
  torch::Tensor place;  ///< [groups * tokens, top_k] int64 as rows_from_places takes it
  int64_t rows = 0;     ///< of an expert: an equal number for each group, group after group
};

/// Buffers of `capacity` rows for each group and expert fill with all first choices of
/// `expert` [groups, tokens, top_k], then with all second ones, and so on; within a choice in the
/// order of tokens, or by falling `priority` [groups, tokens] if it is defined. Pairs that find
/// no room are dropped. Buffers are no larger than the fullest of them needs.
ChoicePlaces place_choices(const torch::Tensor& expert, const torch::Tensor& priority,
                           int64_t experts, int64_t capacity);

/// How often each expert is asked for, [experts] int64.
torch::Tensor count_choices(const torch::Tensor& expert, int64_t experts);

/// The step of the selection bias, [experts], for `counts` of choices: the sign of mean - count,
/// less the mean of these signs.
torch::Tensor balancing_step(const torch::Tensor& counts);

}  // namespace softmoe
