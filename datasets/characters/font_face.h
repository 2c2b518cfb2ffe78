#pragma once
/// Faces of font files, by FreeType. Not safe to use from several threads at once.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "datasets/characters/glyph_outline.h"

namespace softmoe {

/// Font files below /usr/share/fonts and `font_dir` (if not empty), sorted by path. Throws
/// InputError if `font_dir` is no folder.
std::vector<std::filesystem::path> find_fonts(const std::string& font_dir);

/// One scalable face of a font file.
class FontFace {
 public:
  virtual ~FontFace() = default;

  /// What the face is called beside an upright one of usual weight, such as "bold, slanted"; "" for
  /// that one.
  virtual std::string style() const = 0;

  /// Number of the glyph of a code point, 0 if the face has none.
  virtual uint32_t glyph_of(char32_t code) const = 0;

  /// A key of the glyph as the font stores it: glyphs of one key have one outline, which takes much
  /// longer. 0 if it has none.
  virtual uint64_t shape_key(uint32_t glyph) const = 0;

  /// The outline of a glyph with curves flattened; empty if it has none.
  virtual Outline outline(uint32_t glyph) const = 0;
};

/// The scalable faces of `path`; none for a file that FreeType cannot read.
std::vector<std::unique_ptr<FontFace>> open_faces(const std::filesystem::path& path);

}  // namespace softmoe
