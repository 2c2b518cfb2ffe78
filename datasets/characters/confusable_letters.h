#pragma once
/// Letters that fonts draw alike, such as Latin A, Greek Alpha and Cyrillic A.

#include <cstdint>
#include <functional>
#include <vector>

#include "datasets/characters/alphabet.h"

namespace softmoe {

/// A letter, as its index in a list, and the drawing that one face has for it.
struct LetterGlyph {
  uint32_t letter;
  uint32_t glyph;
};

/// Clears `kept` for every letter that looks like an earlier kept one in more than half of the
/// faces that have both. `faces` holds the drawings of each face in the order of the letters. Sizes
/// are not compared, since characters are scaled to the frame.
void drop_confusable_letters(const std::vector<std::vector<LetterGlyph>>& faces,
                             const std::function<GlyphView(uint32_t)>& view,
                             std::vector<bool>& kept);

}  // namespace softmoe
