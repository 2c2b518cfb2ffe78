#pragma once
/// Which rows of a batch one of several processes computes.

#include <cstdint>

namespace softmoe {

/// Rows [first, first + count) of a batch.
struct RowRange {
  int64_t first = 0;
  int64_t count = 0;

  bool operator==(const RowRange&) const = default;
};

/// The share of one of several processes in every batch. The shares of a batch are contiguous, in
/// the order of ranks, and as equal as whole units allow.
struct BatchShare {
  int64_t rank = 0;
  int64_t ranks = 1;
  int64_t unit = 1;  ///< rows that stay together; a batch that is no multiple of it stays whole

  /// The rows of this process in a batch of `rows`.
  RowRange rows_of(int64_t rows) const;
  /// The max number of rows of this process in batches of up to `rows`.
  int64_t max_rows(int64_t rows) const;

  bool operator==(const BatchShare&) const = default;
};

}  // namespace softmoe
