#include "text/pair_merges.h"

#include <functional>
#include <queue>
#include <tuple>

namespace softmoe {
namespace {

/// Symbols that know their neighbours, so that a merge takes constant time.
struct LinkedSymbol {
  int32_t symbol;  // -1: merged into the one before
  int32_t before;
  int32_t behind;
};

}  // namespace

PairMerges::PairMerges(const std::vector<PairMerge>& merges) {
  rules_.reserve(merges.size());
  int32_t rank = 0;
  for (const auto& merge : merges) {
    rules_.try_emplace(pair_key(merge.left, merge.right), Rule{rank++, merge.result});
  }
}

const PairMerges::Rule* PairMerges::find(int32_t left, int32_t right) const {
  const auto at = rules_.find(pair_key(left, right));
  return at == rules_.end() ? nullptr : &at->second;
}

std::vector<int32_t> PairMerges::apply(const std::vector<int32_t>& symbols) const {
  std::vector<LinkedSymbol> chain;
  const auto size = static_cast<int32_t>(symbols.size());
  for (int32_t place = 0; place < size; ++place) {
    chain.push_back(
        {symbols[static_cast<size_t>(place)], place - 1, place + 1 < size ? place + 1 : -1});
  }
  // Rank, place of the left symbol, both symbols: pairs that have changed since are passed over.
  using Candidate = std::tuple<int32_t, int32_t, int32_t, int32_t>;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto at = [&chain](int32_t place) -> LinkedSymbol& {
    return chain[static_cast<size_t>(place)];
  };
  const auto propose = [&](int32_t left) {
    if (left >= 0 && at(left).behind >= 0) {
      const auto right = at(left).behind;
      if (const auto* rule = find(at(left).symbol, at(right).symbol)) {
        candidates.emplace(rule->rank, left, at(left).symbol, at(right).symbol);
      }
    }
  };
  for (int32_t place = 0; place < size; ++place) {
    propose(place);
  }
  while (!candidates.empty()) {
    const auto [rank, left, left_symbol, right_symbol] = candidates.top();
    candidates.pop();
    const auto right = at(left).behind;
    if (at(left).symbol != left_symbol || right < 0 || at(right).symbol != right_symbol) {
      continue;
    }
    at(left).symbol = find(left_symbol, right_symbol)->result;
    at(left).behind = at(right).behind;
    at(right).symbol = -1;
    if (at(left).behind >= 0) {
      at(at(left).behind).before = left;
    }
    propose(at(left).before);
    propose(left);
  }
  std::vector<int32_t> merged;
  for (int32_t place = size > 0 ? 0 : -1; place >= 0; place = at(place).behind) {
    merged.push_back(at(place).symbol);
  }
  return merged;
}

}  // namespace softmoe
