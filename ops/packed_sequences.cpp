#include "ops/packed_sequences.h"

#include <ATen/ops/cat.h>

namespace softmoe {

std::vector<torch::Tensor> split_runs(const torch::Tensor& x, const PackedSequences& sequences) {
  const auto tokens = x.view({-1, x.size(-1)});  // [tokens, dim]
  std::vector<torch::Tensor> runs;
  int64_t first = 0;
  for (const auto& [count, length] : sequences.runs) {
    runs.push_back(tokens.narrow(0, first, count * length)
                       .view({count, length, tokens.size(1)}));  // [count, length, dim]
    first += count * length;
  }
  return runs;
}

torch::Tensor joined_runs(const std::vector<torch::Tensor>& runs) {
  std::vector<torch::Tensor> parts;
  for (const auto& run : runs) {
    parts.push_back(run.reshape({1, -1, run.size(2)}));
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, 1);  // [1, tokens, dim]
}

}  // namespace softmoe
