#include "inference/packed/expert_rows.h"

#include <algorithm>

#include "inference/packed/portion.h"

namespace softmoe {

void ExpertRows::assign(const SparseRows& rows) {
  const auto token = rows.token.to(torch::kCPU, torch::kInt64).contiguous();  // [experts, rows]
  const auto gate = rows.gate.defined() ? rows.gate.to(torch::kCPU, torch::kFloat32).contiguous()
                                        : torch::Tensor();  // [experts, rows]
  const auto* const tokens = token.const_data_ptr<int64_t>();
  const auto* const gates = gate.defined() ? gate.const_data_ptr<float>() : nullptr;
  const int64_t count = rows.batch * rows.tokens;
  const int64_t each = token.size(1);
  token_.clear();
  gate_.clear();
  first_of_expert_.assign(1, 0);
  for (int64_t at = 0; at < token.numel(); ++at) {
    TORCH_CHECK_VALUE(tokens[at] < count, "ExpertRows: token ", tokens[at], " of ", count);
    if (tokens[at] >= 0) {
      token_.push_back(tokens[at]);
      if (gates != nullptr) {
        gate_.push_back(gates[at]);
      }
    }
    if ((at + 1) % each == 0) {
      first_of_expert_.push_back(this->count());
    }
  }
  sort_by_token(count);
}

void ExpertRows::sort_by_token(int64_t tokens) {
  // A counting sort: how many, where each begins, and then its rows one by one.
  first_of_token_.assign(static_cast<size_t>(tokens) + 1, 0);
  for (const int64_t token : token_) {
    ++first_of_token_[static_cast<size_t>(token) + 1];
  }
  for (size_t index = 0; index + 1 < first_of_token_.size(); ++index) {
    first_of_token_[index + 1] += first_of_token_[index];
  }
  row_of_token_.resize(token_.size());
  auto next = first_of_token_;
  for (size_t row = 0; row < token_.size(); ++row) {
    row_of_token_[next[static_cast<size_t>(token_[row])]++] = static_cast<int64_t>(row);
  }
}

void ExpertRows::divide(int64_t max_rows) {
  blocks_.clear();
  for (size_t expert = 0; expert + 1 < first_of_expert_.size(); ++expert) {
    for_each_block({first_of_expert_[expert], first_of_expert_[expert + 1]}, max_rows,
                   [&](int64_t first, int64_t count) {
                     blocks_.push_back({static_cast<int64_t>(expert), first, count});
                   });
  }
  std::stable_sort(blocks_.begin(), blocks_.end(),
                   [](const auto& one, const auto& other) { return one.count > other.count; });
}

}  // namespace softmoe
