#include "datasets/characters/glyph_ligatures.h"

#include <algorithm>

namespace softmoe {
namespace {

using FontBytes = std::span<const uint8_t>;

constexpr uint32_t kLigatureLookup = 4;

/// The big-endian number at `place`; 0 outside the bytes.
uint32_t number_at(FontBytes bytes, size_t place) {
  return place + 2 <= bytes.size() ? uint32_t{bytes[place]} << 8 | bytes[place + 1] : 0;
}

/// The part that the offset at `place` leads to; empty outside the bytes.
FontBytes part_at(FontBytes bytes, size_t place) {
  const size_t offset = number_at(bytes, place);
  return offset > 0 && offset < bytes.size() ? bytes.subspan(offset) : FontBytes{};
}

/// The glyphs of a coverage table, in its order.
std::vector<uint32_t> covered_glyphs(FontBytes coverage) {
  std::vector<uint32_t> glyphs;
  const uint32_t count = number_at(coverage, 2);
  for (uint32_t index = 0; index < count; ++index) {
    if (number_at(coverage, 0) == 1) {
      glyphs.push_back(number_at(coverage, 4 + 2 * index));
      continue;
    }
    const size_t range = 4 + 6 * size_t{index};
    for (uint32_t glyph = number_at(coverage, range); glyph <= number_at(coverage, range + 2);
         ++glyph) {
      glyphs.push_back(glyph);
    }
  }
  return glyphs;
}

}  // namespace

GlyphLigatures::GlyphLigatures(std::span<const uint8_t> table) {
  const auto list = part_at(table, 8);
  for (uint32_t index = 0; index < number_at(list, 0); ++index) {
    const auto lookup = part_at(list, 2 + 2 * index);
    if (number_at(lookup, 0) == kLigatureLookup) {
      lookups_.push_back(read_lookup(lookup));
    }
  }
}

GlyphLigatures::Lookup GlyphLigatures::read_lookup(std::span<const uint8_t> lookup) {
  Lookup read;
  for (uint32_t part = 0; part < number_at(lookup, 4); ++part) {
    const auto substitutions = part_at(lookup, 6 + 2 * part);
    const auto firsts = covered_glyphs(part_at(substitutions, 2));
    for (size_t index = 0; index < firsts.size(); ++index) {
      const auto set = part_at(substitutions, 6 + 2 * index);
      for (uint32_t number = 0; number < number_at(set, 0); ++number) {
        const auto bytes = part_at(set, 2 + 2 * number);
        Ligature ligature{.rest = {}, .glyph = number_at(bytes, 0)};
        for (uint32_t place = 1; place < number_at(bytes, 2); ++place) {
          ligature.rest.push_back(number_at(bytes, 2 + 2 * place));
        }
        read[firsts[index]].push_back(std::move(ligature));
      }
    }
  }
  return read;
}

std::vector<uint32_t> GlyphLigatures::joined(std::vector<uint32_t> glyphs) const {
  for (const auto& lookup : lookups_) {
    std::vector<uint32_t> result;
    for (size_t place = 0; place < glyphs.size();) {
      const auto behind = std::span(glyphs).subspan(place + 1);
      const auto found = lookup.find(glyphs[place]);
      const auto fits = [&](const Ligature& ligature) {
        return ligature.rest.size() <= behind.size() &&
               std::ranges::equal(ligature.rest, behind.first(ligature.rest.size()));
      };
      const Ligature* joined = nullptr;
      if (found != lookup.end()) {
        const auto first = std::ranges::find_if(found->second, fits);
        joined = first != found->second.end() ? &*first : nullptr;
      }
      result.push_back(joined != nullptr ? joined->glyph : glyphs[place]);
      place += 1 + (joined != nullptr ? joined->rest.size() : 0);
    }
    glyphs = std::move(result);
  }
  return glyphs;
}

}  // namespace softmoe
