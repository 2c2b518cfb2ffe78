#pragma once
/// The letters that the fonts of this machine can draw, with every distinct drawing of each.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "datasets/characters/character_options.h"
#include "datasets/characters/glyph_outline.h"

namespace softmoe {

/// Points and contours of one drawing.
struct GlyphView {
  std::span<const OutlinePoint> points;
  std::span<const uint32_t> contour_ends;
};

/// Letters as classes. A letter is a class if at least min_faces faces draw it differently, of
/// fonts that are not held out, and a font that is held out, if any is, in yet another way. Of
/// letters that look alike in most of the faces that have both (Latin A, Greek Alpha, Cyrillic A),
/// only the first in the order of the script table stays, except in scripts of detailed letters.
class Alphabet {
 public:
  /// Font folders are searched recursively, font files used in the order of their paths. Throws
  /// InputError if no class is left or a font that is held out is not there.
  static std::shared_ptr<const Alphabet> build(const CharacterOptions& options);

  /// Names of the classes, "U+0416 Ж".
  const std::vector<std::string>& class_names() const { return class_names_; }
  int64_t num_faces() const { return num_faces_; }
  /// Drawings of a class: those of fonts that are not held out, or those that only held-out fonts
  /// have.
  int64_t num_glyphs(int64_t label, bool held_out = false) const;
  GlyphView glyph(int64_t label, int64_t number, bool held_out = false) const;
  /// FontFace::style() of the first face that has a drawing.
  const std::string& style(int64_t label, int64_t number, bool held_out = false) const;
  /// letter_caption() of each class.
  const std::vector<std::string>& class_captions() const { return class_captions_; }

 private:
  friend class AlphabetBuilder;

  GlyphView view(uint32_t glyph) const;

  struct GlyphRange {
    size_t first_point;
    size_t first_contour;
    size_t points;
    size_t contours;
  };

  uint32_t glyph_index(int64_t label, int64_t number, bool held_out) const;

  std::vector<std::string> class_names_;
  std::vector<std::string> class_captions_;
  using ClassGlyphs = std::vector<std::vector<uint32_t>>;  // by class: indices into glyphs_
  ClassGlyphs class_glyphs_;
  ClassGlyphs held_out_glyphs_;
  std::vector<GlyphRange> glyphs_;
  std::vector<std::string> styles_;     // of faces, each once
  std::vector<uint32_t> glyph_styles_;  // by glyph: index into styles_
  std::vector<OutlinePoint> points_;
  std::vector<uint32_t> contour_ends_;
  int64_t num_faces_ = 0;
};

}  // namespace softmoe
