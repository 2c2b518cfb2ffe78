#pragma once
/// Byte-pair encoding: pairs of neighbours that become one symbol, in an order.
/// Source: Sennrich et al., arXiv:1508.07909, section 3.2.

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace softmoe {

/// Two neighbours and the symbol that they become.
struct PairMerge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t result = 0;

  bool operator==(const PairMerge&) const = default;
};

/// A list of merges; earlier ones come first.
class PairMerges {
 public:
  /// Of merges of one pair, the first counts.
  explicit PairMerges(const std::vector<PairMerge>& merges);

  /// Merges neighbours in `symbols` until no pair of the list is left. Takes time n log n for n
  /// symbols.
  std::vector<int32_t> apply(const std::vector<int32_t>& symbols) const;

 private:
  struct Rule {
    int32_t rank;
    int32_t result;
  };

  const Rule* find(int32_t left, int32_t right) const;

  std::unordered_map<uint64_t, Rule> rules_;  // by pair
};

/// A pair of symbols as a key that orders as the pair does.
inline uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

}  // namespace softmoe
