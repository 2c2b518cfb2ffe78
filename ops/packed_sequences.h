#pragma once
/// Sequences of different lengths in one tensor without padding.

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace softmoe {

/// How the tokens of many sequences stand in `x` [1, tokens, dim]: sequence after sequence, runs of
/// sequences of equal length one after the other. Nothing in a result depends on padding that the
/// sequences had, as there is none.
struct PackedSequences {
  /// `count` sequences of `length` tokens each.
  struct Run {
    int64_t count = 0;
    int64_t length = 0;

    bool operator==(const Run&) const = default;
  };
  std::vector<Run> runs = {};  ///< none: `x` is [batch, tokens, dim], as images are
  bool causal = false;         ///< a token attends to itself and those before it alone

  bool empty() const { return runs.empty(); }
  /// Of all runs.
  int64_t tokens() const {
    int64_t sum = 0;
    for (const auto& run : runs) {
      sum += run.count * run.length;
    }
    return sum;
  }
};

/// The first token of each sequence of `x`, and behind them the number of all tokens: of packed
/// `sequences`, or, without them, of `x` [batch, tokens, dim]. Throws c10::ValueError if
/// `sequences` are not the tokens of `x` [1, tokens, dim].
std::vector<int64_t> sequence_offsets(const torch::Tensor& x, const PackedSequences& sequences);

/// Tokens of the longest of the sequences that begin at `offsets`.
int64_t longest_sequence(const std::vector<int64_t>& offsets);

/// The runs of `x` [tokens, dim] or [1, tokens, dim], one tensor [count, length, dim] each.
std::vector<torch::Tensor> split_runs(const torch::Tensor& x, const PackedSequences& sequences);

/// What split_runs() gives `runs` for: [1, tokens, dim].
torch::Tensor joined_runs(const std::vector<torch::Tensor>& runs);

}  // namespace softmoe
