#include "text/bpe_training.h"

#include <algorithm>
#include <queue>

#include "core/progress.h"
#include "text/byte_symbols.h"
#include "text/text_split.h"

namespace softmoe {
namespace {

/// A pair that occurs less often is not merged.
constexpr int64_t kMinPairCount = 2;

/// A part as symbols, and how often it occurs.
struct CountedPart {
  std::vector<int32_t> symbols;
  int64_t count;
};

/// A pair and what its count was when it was pushed.
struct RankedPair {
  int64_t count;
  uint64_t pair;

  bool operator<(const RankedPair& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

/// The parts of the texts with the counts of all pairs, which each merge changes.
class PairCounts {
 public:
  explicit PairCounts(const PartCounts& parts) {
    for (const auto& [bytes, count] : parts.sorted()) {
      CountedPart part{{}, count};
      for (const auto byte : bytes) {
        part.symbols.push_back(
            static_cast<int32_t>(kFirstByteSymbol + symbol_of_byte(static_cast<uint8_t>(byte))));
      }
      parts_.push_back(std::move(part));
    }
    for (size_t number = 0; number < parts_.size(); ++number) {
      const auto& part = parts_[number];
      for (size_t place = 1; place < part.symbols.size(); ++place) {
        add(pair_key(part.symbols[place - 1], part.symbols[place]), part.count, number);
      }
    }
    push_changed();
  }

  /// The most frequent pair; of count 0 if there is none.
  RankedPair top() {
    while (!ranked_.empty()) {
      const auto best = ranked_.top();
      const auto count = counts_[best.pair];
      if (best.count == count) {
        return best;
      }
      ranked_.pop();
      if (count > 0) {
        ranked_.push({count, best.pair});
      }
    }
    return {0, 0};
  }

  void merge(uint64_t pair, int32_t result) {
    const auto left = static_cast<int32_t>(pair >> 32);
    const auto right = static_cast<int32_t>(pair & 0xFFFFFFFF);
    auto numbers = std::move(parts_of_[pair]);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (const auto number : numbers) {
      merge_in(number, left, right, result);
    }
    counts_.erase(pair);
    parts_of_.erase(pair);
    push_changed();
  }

 private:
  void add(uint64_t pair, int64_t count, size_t number) {
    counts_[pair] += count;
    if (count > 0) {
      auto& numbers = parts_of_[pair];
      if (numbers.empty() || numbers.back() != number) {
        numbers.push_back(number);
      }
      changed_.push_back(pair);
    }
  }

  void merge_in(size_t number, int32_t left, int32_t right, int32_t result) {
    auto& part = parts_[number];
    auto& symbols = part.symbols;
    std::vector<int32_t> merged;
    for (size_t place = 0; place < symbols.size(); ++place) {
      const bool is_pair =
          place + 1 < symbols.size() && symbols[place] == left && symbols[place + 1] == right;
      merged.push_back(is_pair ? result : symbols[place]);
      place += is_pair ? 1 : 0;
    }
    if (merged.size() == symbols.size()) {
      return;
    }
    for (size_t place = 1; place < symbols.size(); ++place) {
      add(pair_key(symbols[place - 1], symbols[place]), -part.count, number);
    }
    symbols = std::move(merged);
    for (size_t place = 1; place < symbols.size(); ++place) {
      add(pair_key(symbols[place - 1], symbols[place]), part.count, number);
    }
  }

  void push_changed() {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const auto pair : changed_) {
      if (const auto at = counts_.find(pair); at != counts_.end() && at->second > 0) {
        ranked_.push({at->second, pair});
      }
    }
    changed_.clear();
  }

  std::vector<CountedPart> parts_;
  std::unordered_map<uint64_t, int64_t> counts_;
  std::unordered_map<uint64_t, std::vector<size_t>> parts_of_;  // that a pair was ever added for
  std::priority_queue<RankedPair> ranked_;                      // some with old counts
  std::vector<uint64_t> changed_;  // pairs that became more frequent since push_changed()
};

}  // namespace

void PartCounts::add(const std::string& text) {
  for (auto& part : gpt2_parts(text)) {
    ++counts_[std::move(part)];
  }
}

std::vector<std::pair<std::string, int64_t>> PartCounts::sorted() const {
  std::vector<std::pair<std::string, int64_t>> parts(counts_.begin(), counts_.end());
  std::sort(parts.begin(), parts.end());
  return parts;
}

std::vector<PairMerge> learn_merges(const PartCounts& parts, int64_t max_merges) {
  PairCounts counts(parts);
  std::vector<PairMerge> merges;
  Progress progress("Merge pairs", max_merges, "merges");
  while (std::ssize(merges) < max_merges) {
    const auto best = counts.top();
    if (best.count < kMinPairCount) {
      break;
    }
    const auto result = static_cast<int32_t>(kMinBpeVocabulary + std::ssize(merges));
    merges.push_back({static_cast<int32_t>(best.pair >> 32),
                      static_cast<int32_t>(best.pair & 0xFFFFFFFF), result});
    counts.merge(best.pair, result);
    progress.update(std::ssize(merges));
  }
  progress.finish();
  return merges;
}

}  // namespace softmoe
