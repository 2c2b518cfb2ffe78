#pragma once
/// Fonts whose glyphs are pictures, by FreeType.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <span>

#include "datasets/characters/glyph_ligatures.h"

struct FT_FaceRec_;
struct FT_LibraryRec_;

namespace softmoe {

/// A font with pictures of one size in colour. Safe to use from several threads at once.
class ColorFont {
 public:
  /// Throws InputError that names `path` if it is no such font.
  explicit ColorFont(const std::filesystem::path& path);

  /// The glyph that the letters `codes` have together; 0 if there is none.
  uint32_t glyph_of(std::span<const char32_t> codes) const;
  /// The picture of a glyph on white, uint8 RGB. Throws InputError if it cannot be read.
  cv::Mat picture(uint32_t glyph) const;

 private:
  std::filesystem::path path_;
  std::shared_ptr<FT_LibraryRec_> library_;
  std::shared_ptr<FT_FaceRec_> face_;
  GlyphLigatures ligatures_;
  mutable std::mutex mutex_;
};

}  // namespace softmoe
