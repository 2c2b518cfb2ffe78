#include "ops/packed_sequences.h"

#include <ATen/ops/cat.h>

#include <algorithm>

namespace softmoe {

std::vector<int64_t> sequence_offsets(const torch::Tensor& x, const PackedSequences& sequences) {
  TORCH_CHECK_VALUE(sequences.empty() || (x.size(0) == 1 && x.size(1) == sequences.tokens()),
                    "expected packed tokens [1, ", sequences.tokens(), ", dim], found ", x.sizes());
  std::vector<int64_t> offsets{0};
  const auto add = [&offsets](int64_t count, int64_t length) {
    for (int64_t sequence = 0; sequence < count; ++sequence) {
      offsets.push_back(offsets.back() + length);
    }
  };
  if (sequences.empty()) {
    add(x.size(0), x.size(1));
  }
  for (const auto& [count, length] : sequences.runs) {
    add(count, length);
  }
  return offsets;
}

int64_t longest_sequence(const std::vector<int64_t>& offsets) {
  int64_t tokens = 0;
  for (size_t sequence = 1; sequence < offsets.size(); ++sequence) {
    tokens = std::max(tokens, offsets[sequence] - offsets[sequence - 1]);
  }
  return tokens;
}

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
