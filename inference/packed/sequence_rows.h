#pragma once
/// Where the tokens of each image or text of a batch stand among the rows of a pass.

#include <cstdint>
#include <vector>

#include "ops/packed_sequences.h"

namespace softmoe {

/// Sequences of tokens, one after the other: images, which are equally long, or packed texts.
class SequenceRows {
 public:
  SequenceRows() = default;
  /// `images` sequences of `tokens` tokens each.
  static SequenceRows of_images(int64_t images, int64_t tokens);
  /// The sequences of `texts`, at least one.
  static SequenceRows of_texts(const PackedSequences& texts);

  bool operator==(const SequenceRows&) const = default;

  int64_t count() const { return static_cast<int64_t>(first_.size()) - 1; }
  int64_t rows() const { return first_.back(); }
  /// The first row of `sequence`; of count(): the number of rows.
  int64_t first_row(int64_t sequence) const { return first_[static_cast<size_t>(sequence)]; }
  int64_t tokens(int64_t sequence) const { return first_row(sequence + 1) - first_row(sequence); }
  int64_t max_tokens() const { return max_tokens_; }
  /// The sequence that has `row`.
  int64_t sequence_of(int64_t row) const;

  /// Groups of sequences that `threads` threads take one by one without waiting for each other, as
  /// many for each thread: the sequence that each group begins with, and count(). Images are groups
  /// of one, texts are grouped to about `max_rows` rows. Empty if they do not divide evenly.
  std::vector<int64_t> groups(int64_t threads, int64_t max_rows) const;

 private:
  bool are_texts_ = false;
  int64_t max_tokens_ = 0;
  std::vector<int64_t> first_{0};  // of each sequence, and the number of rows
};

}  // namespace softmoe
