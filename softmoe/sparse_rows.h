#pragma once
/// Dispatch and combine by index: what sparse routers do instead of products with one-hot masks.

#include <torch/types.h>

#include "softmoe/assignment/top_gates.h"

namespace softmoe {

struct ExpertLoad;
struct RoutingRecord;

/// The token of each row of each expert. A row holds one token or none, a token may stand in rows
/// of several experts.
struct SparseRows {
  torch::Tensor token;  ///< [experts, rows] int64: a token of [batch * tokens], -1 in an empty row
  torch::Tensor gate;   ///< [experts, rows]: factor of a row's output; undefined: 1
  int64_t batch = 0;
  int64_t tokens = 0;  ///< of an image
};

/// Rows of an assignment of (token, choice) pairs to places: `place` [batch * tokens, choices]
/// int64 is expert * rows + row, or -1 for a dropped pair, `gate` of the same shape (or undefined)
/// its factor, differentiable. No two pairs may share a place.
SparseRows rows_from_places(const torch::Tensor& place, const torch::Tensor& gate, int64_t experts,
                            int64_t rows, int64_t batch);

/// Rows of (expert, token) pairs without a limit: as many as the busiest expert needs, at least 1.
/// `token` (of batch * tokens) and `expert` [pairs] int64, in the order of experts; `gate` [pairs],
/// differentiable, or undefined. Throws c10::ValueError if an entry is no expert.
SparseRows rows_from_pairs(const torch::Tensor& token, const torch::Tensor& expert,
                           const torch::Tensor& gate, int64_t experts, int64_t batch,
                           int64_t tokens);

/// rows_from_pairs() for one expert per token: `expert` [batch, tokens] int64, `gate`
/// [batch, tokens] or undefined. Rows are in the order of tokens.
SparseRows rows_of_experts(const torch::Tensor& expert, const torch::Tensor& gate, int64_t experts);

/// Rows of the tokens [groups, experts, capacity] that each expert chose, numbered within a group
/// of `tokens` tokens, and their gates: group after group, [experts, groups * capacity], of a batch
/// of `batch` images.
SparseRows rows_of_chosen_tokens(const TopGates& chosen, int64_t tokens, int64_t batch);

/// Expert inputs [experts, rows, dim] of `tokens` [batch, tokens, dim], in the dtype of
/// take_rows(). What an empty row holds is finite and unspecified: nothing takes its output.
torch::Tensor gather_rows(const torch::Tensor& tokens, const SparseRows& rows);

/// Output tokens [batch, tokens, dim] from `expert_outputs` [experts, rows, dim]: the sum over a
/// token's rows of gate * output, 0 for a token that has none; in the dtype of sum_rows().
torch::Tensor scatter_rows(const torch::Tensor& expert_outputs, const SparseRows& rows);

/// Fills what `record` wants of weights and load from `rows` and `probabilities`
/// [batch * tokens, experts] (undefined for routers without any: then the entropy is 0).
void record_rows(RoutingRecord& record, const SparseRows& rows, const torch::Tensor& probabilities);

}  // namespace softmoe
