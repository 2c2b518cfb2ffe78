#include "datasets/characters/glyph_ligatures.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::ElementsAre;

/// Big-endian numbers of 16 bits.
std::vector<uint8_t> numbers(const std::vector<int>& values) {
  std::vector<uint8_t> bytes;
  for (const int value : values) {
    bytes.push_back(static_cast<uint8_t>(value >> 8));
    bytes.push_back(static_cast<uint8_t>(value & 0xFF));
  }
  return bytes;
}

/// A table with a lookup of ligatures, 7 8 9 -> 20 and 7 8 -> 21, and one of another kind.
std::vector<uint8_t> table() {
  return numbers({1,  0,  0,  0,  10,          // version, scripts, features, lookups at 10
                  2,  6,  60,                  // two lookups, at 16 and 70
                  4,  0,  1,  8,               // 16: ligatures, one part, at 24
                  1,  10, 2,  20, 42,          // 24: firsts at 34, sets at 44 and 66
                  2,  1,  7,  7,  0,           // 34: the range 7 to 7 (the second is missing)
                  2,  6,  14,                  // 44: two ligatures, at 50 and 58
                  20, 3,  8,  9,               // 50: 7 8 9 -> 20
                  21, 2,  8,                   // 58: 7 8 -> 21
                  0,  0,  0,  1,  0,  0, 0});  // 64: zeros, and at 70 a lookup of type 1
}

TEST(GlyphLigatures, JoinsTheFirstLigatureThatFits) {
  const GlyphLigatures ligatures(table());
  EXPECT_THAT(ligatures.joined({7, 8, 9}), ElementsAre(20U));
  EXPECT_THAT(ligatures.joined({5, 7, 8, 7}), ElementsAre(5U, 21U, 7U));
  EXPECT_THAT(ligatures.joined({}), ElementsAre());
}

TEST(GlyphLigatures, OfADamagedTableAreThoseThatAreWhole) {
  const auto whole = table();
  for (size_t size = 0; size < whole.size(); ++size) {
    const GlyphLigatures ligatures(std::span<const uint8_t>(whole).first(size));
    EXPECT_LE(ligatures.joined({7, 8, 9}).size(), 3U);
  }
}

}  // namespace
}  // namespace softmoe
