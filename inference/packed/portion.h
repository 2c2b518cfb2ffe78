#pragma once
/// How the threads of a team divide the sequences of a batch, and rows into blocks.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "inference/packed/sequence_rows.h"
#include "runtime/thread_team.h"

namespace softmoe {

/// The sequences of a batch, and the groups in which threads take them.
class DividedSequences {
 public:
  DividedSequences() = default;
  /// For `threads` threads; `max_rows` as SequenceRows::groups() takes it.
  DividedSequences(SequenceRows sequences, int64_t threads, int64_t max_rows)
      : sequences_(std::move(sequences)),
        groups_(sequences_.groups(threads, max_rows)),
        threads_(threads) {
    for (int64_t group = 0; group < groups(); ++group) {
      const auto [first, last] = of_group(group);
      max_sequences_ = std::max(max_sequences_, last - first);
      max_rows_ = std::max(max_rows_, sequences_.first_row(last) - sequences_.first_row(first));
    }
  }

  const SequenceRows& sequences() const { return sequences_; }
  int64_t threads() const { return threads_; }
  /// The number of groups; 0 if all threads share all sequences.
  int64_t groups() const { return std::max<int64_t>(std::ssize(groups_) - 1, 0); }
  /// The sequences of a group.
  IndexRange of_group(int64_t group) const {
    const auto at = static_cast<size_t>(group);
    return {groups_[at], groups_[at + 1]};
  }
  /// Max of a group; 0 without groups.
  int64_t max_sequences() const { return max_sequences_; }
  int64_t max_rows() const { return max_rows_; }
  /// The number of places for values of a sequence, or of a row, that only its next steps need: for
  /// one group per thread, or for all.
  int64_t places() const { return groups() > 0 ? threads_ * max_sequences_ : sequences_.count(); }
  int64_t row_places() const { return groups() > 0 ? threads_ * max_rows_ : sequences_.rows(); }

 private:
  SequenceRows sequences_;
  std::vector<int64_t> groups_;
  int64_t threads_ = 0;
  int64_t max_sequences_ = 0;
  int64_t max_rows_ = 0;
};

/// What one thread does at a time: a share of all sequences, waiting for the other threads between
/// the steps, or one whole group, whose values stay in its caches.
struct Portion {
  const ThreadTeam& team;
  const DividedSequences& batch;
  int64_t first = -1;  ///< sequence of the group; -1: a share of all
  int64_t last = -1;

  bool is_share() const { return first < 0; }
  /// This portion of the pieces of all sequences, `each` per sequence.
  IndexRange of(int64_t each) const {
    return is_share() ? team.share(batch.sequences().count() * each)
                      : IndexRange{first * each, last * each};
  }
  /// This portion of all rows.
  IndexRange rows() const {
    return is_share()
               ? team.share(batch.sequences().rows())
               : IndexRange{batch.sequences().first_row(first), batch.sequences().first_row(last)};
  }
  /// Waits for the other threads if this is a share; call it before values of theirs are read.
  void barrier() const {
    if (is_share()) {
      team.barrier();
    }
  }
  /// The place, below places(), for values of a sequence that only its next steps need.
  int64_t place(int64_t of_sequence) const {
    return is_share() ? of_sequence : team.rank * batch.max_sequences() + of_sequence - first;
  }
  /// The place, below row_places(), for such values of a row.
  int64_t row_place(int64_t of_row) const {
    return is_share() ? of_row
                      : team.rank * batch.max_rows() + of_row - batch.sequences().first_row(first);
  }
};

/// Calls function(portion) for all portions of this thread.
template <typename Function>
void for_each_portion(const ThreadTeam& team, const DividedSequences& batch,
                      const Function& function) {
  if (batch.groups() == 0) {
    function(Portion{team, batch});
    return;
  }
  const auto share = team.share(batch.groups());
  for (int64_t group = share.first; group < share.last; ++group) {
    const auto [first, last] = batch.of_group(group);
    function(Portion{team, batch, first, last});
  }
}

/// Calls function(first, count) for blocks of `range` of about the same size, at most `max_rows`.
template <typename Function>
void for_each_block(const IndexRange& range, int64_t max_rows, const Function& function) {
  const int64_t total = range.last - range.first;
  const int64_t blocks = (total + max_rows - 1) / max_rows;
  for (int64_t index = 0; index < blocks; ++index) {
    const int64_t first = total * index / blocks;
    function(range.first + first, total * (index + 1) / blocks - first);
  }
}

/// Calls function(sequence, first, last) for the parts of `rows` that belong to one sequence each.
template <typename Function>
void for_each_sequence(const SequenceRows& sequences, const IndexRange& rows,
                       const Function& function) {
  int64_t sequence = rows.first < rows.last ? sequences.sequence_of(rows.first) : 0;
  for (int64_t at = rows.first; at < rows.last; ++sequence) {
    const int64_t last = std::min(rows.last, sequences.first_row(sequence + 1));
    function(sequence, at, last);
    at = last;
  }
}

}  // namespace softmoe
