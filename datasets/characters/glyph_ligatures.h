#pragma once
/// Glyphs that stand for several letters together, by the substitution table of OpenType fonts.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace softmoe {

/// The ligatures of a font (OpenType's GSUB table, lookups of type 4), in the order of the lookups.
/// Other substitutions, and which features and scripts use a lookup, are ignored.
class GlyphLigatures {
 public:
  GlyphLigatures() = default;
  /// `table` has the bytes of a GSUB table; what lies outside it is left out.
  explicit GlyphLigatures(std::span<const uint8_t> table);

  /// `glyphs` after each lookup has replaced what it can, from the first glyph to the last.
  std::vector<uint32_t> joined(std::vector<uint32_t> glyphs) const;

 private:
  struct Ligature {
    std::vector<uint32_t> rest;  // glyphs behind the first
    uint32_t glyph = 0;          // in place of all
  };
  /// The ligatures by their first glyph, in the order of preference.
  using Lookup = std::map<uint32_t, std::vector<Ligature>>;

  static Lookup read_lookup(std::span<const uint8_t> lookup);

  std::vector<Lookup> lookups_;
};

}  // namespace softmoe
