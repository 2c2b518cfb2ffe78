#pragma once
/// The best few of many scores in one pass, with an order among equal ones.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace softmoe {

template <typename Score>
struct Candidate {
  Score score;
  int64_t index;
};

/// By falling score; the lower index first among equal scores.
template <typename Score>
bool ranks_before(const Candidate<Score>& a, const Candidate<Score>& b) {
  return a.score > b.score || (a.score == b.score && a.index < b.index);
}

/// NaN has no place in an order: it ranks with the last.
template <typename Score>
Candidate<Score> candidate(Score score, int64_t index) {
  return {std::isnan(score) ? -std::numeric_limits<Score>::infinity() : score, index};
}

/// Makes `best` a heap whose front ranks last.
template <typename Score>
void start_ranking(std::span<Candidate<Score>> best) {
  std::make_heap(best.begin(), best.end(), ranks_before<Score>);
}

/// Puts `better` in the place of the front of such a heap.
template <typename Score>
void replace_last(std::span<Candidate<Score>> best, Candidate<Score> better) {
  std::pop_heap(best.begin(), best.end(), ranks_before<Score>);
  best.back() = better;
  std::push_heap(best.begin(), best.end(), ranks_before<Score>);
}

/// Sorts such a heap, the best first.
template <typename Score>
void finish_ranking(std::span<Candidate<Score>> best) {
  std::sort_heap(best.begin(), best.end(), ranks_before<Score>);
}

/// The best.size() best of `row`, which has at least as many scores. Most scores cost one
/// comparison.
template <typename Score>
void rank_row(std::span<const Score> row, std::span<Candidate<Score>> best) {
  for (size_t index = 0; index < best.size(); ++index) {
    best[index] = candidate(row[index], static_cast<int64_t>(index));
  }
  start_ranking(best);
  for (size_t index = best.size(); index < row.size(); ++index) {
    if (row[index] > best.front().score) {
      replace_last(best, {row[index], static_cast<int64_t>(index)});
    }
  }
  finish_ranking(best);
}

}  // namespace softmoe
