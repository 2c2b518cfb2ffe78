#pragma once
/// The rows of experts that a sparse router decided on, as threads go through them.

#include <cstdint>
#include <span>
#include <vector>

#include "softmoe/sparse_rows.h"

namespace softmoe {

/// Rows that go through the MLP of one expert together.
struct ExpertBlock {
  int64_t expert = 0;
  int64_t first = 0;  ///< of the rows of all experts
  int64_t count = 0;
};

/// The rows of all experts one after the other, without empty ones.
class ExpertRows {
 public:
  /// Takes the rows of `rows`. Throws c10::ValueError for tokens that the batch does not have.
  void assign(const SparseRows& rows);
  /// Divides the rows of each expert into blocks of about the same size, at most `max_rows`.
  void divide(int64_t max_rows);

  int64_t count() const { return static_cast<int64_t>(token_.size()); }
  /// Tokens of the batch, with rows or without.
  int64_t token_count() const { return static_cast<int64_t>(first_of_token_.size()) - 1; }
  /// The token of each row.
  std::span<const int64_t> tokens() const { return token_; }
  /// The factor of each row's output; null: 1.
  const float* gates() const { return gate_.empty() ? nullptr : gate_.data(); }
  /// The blocks, large ones first, so that the last ones are small when threads run out of work.
  std::span<const ExpertBlock> blocks() const { return blocks_; }
  /// The rows of a token, in rising order.
  std::span<const int64_t> rows_of(int64_t token) const {
    const auto at = static_cast<size_t>(token);
    return std::span(row_of_token_)
        .subspan(first_of_token_[at], first_of_token_[at + 1] - first_of_token_[at]);
  }

 private:
  void sort_by_token(int64_t tokens);

  std::vector<int64_t> token_;
  std::vector<float> gate_;
  std::vector<int64_t> first_of_expert_;  // [experts + 1]
  std::vector<size_t> first_of_token_;    // [tokens + 1]
  std::vector<int64_t> row_of_token_;
  std::vector<ExpertBlock> blocks_;
};

}  // namespace softmoe
