#pragma once
/// Vocabularies of byte pairs that are learned from texts.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/pair_merges.h"

namespace softmoe {

/// How often each part (text_split.h) of some texts occurs.
class PartCounts {
 public:
  /// Counts the parts of `text` by gpt2_parts().
  void add(const std::string& text);

  bool empty() const { return counts_.empty(); }
  /// The parts with their counts in the order of their bytes.
  std::vector<std::pair<std::string, int64_t>> sorted() const;

 private:
  std::unordered_map<std::string, int64_t> counts_;
};

/// The first symbol that is a byte; those below are marks of BpeTokenizer.
inline constexpr int32_t kFirstByteSymbol = 3;
/// Entries of a vocabulary without merges: marks and bytes.
inline constexpr int32_t kMinBpeVocabulary = kFirstByteSymbol + 256;

/// At most `max_merges` merges of the most frequent pair at a time, until none occurs twice. Bytes
/// are the symbols kFirstByteSymbol + symbol_of_byte(); of pairs of one count the one of the
/// smallest symbols comes first, so that equal texts give equal vocabularies in any order. The
/// counts of pairs are changed by each merge, not counted anew.
std::vector<PairMerge> learn_merges(const PartCounts& parts, int64_t max_merges);

}  // namespace softmoe
