#include "datasets/characters/color_font.h"

#include <fmt/format.h>
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_TRUETYPE_TABLES_H
#include FT_TRUETYPE_TAGS_H

#include <algorithm>
#include <vector>

#include "core/error.h"

namespace softmoe {
namespace {

std::vector<uint8_t> table_of(FT_Face face, FT_ULong tag) {
  FT_ULong size = 0;
  if (FT_Load_Sfnt_Table(face, tag, 0, nullptr, &size) != 0) {
    return {};
  }
  std::vector<uint8_t> bytes(size);
  return FT_Load_Sfnt_Table(face, tag, 0, bytes.data(), &size) == 0 ? bytes
                                                                    : std::vector<uint8_t>{};
}

}  // namespace

ColorFont::ColorFont(const std::filesystem::path& path) : path_(path) {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) {
    throw InputError("FreeType does not start");
  }
  library_ = {library, [](FT_Library handle) { FT_Done_FreeType(handle); }};
  FT_Face face = nullptr;
  if (FT_New_Face(library, path.c_str(), 0, &face) != 0) {
    throw InputError(path.string(), "a font with pictures in colour", "none");
  }
  face_ = {face, [](FT_Face handle) { FT_Done_Face(handle); }};
  if (!FT_HAS_COLOR(face) || face->num_fixed_sizes < 1 || FT_Select_Size(face, 0) != 0) {
    throw InputError(path.string(), "a font with pictures in colour", "another one");
  }
  ligatures_ = GlyphLigatures(table_of(face, TTAG_GSUB));
}

uint32_t ColorFont::glyph_of(std::span<const char32_t> codes) const {
  const std::scoped_lock lock(mutex_);
  std::vector<uint32_t> glyphs;
  for (const char32_t code : codes) {
    glyphs.push_back(FT_Get_Char_Index(face_.get(), code));
  }
  const auto joined = ligatures_.joined(std::move(glyphs));
  return joined.size() == 1 ? joined.front() : 0;
}

cv::Mat ColorFont::picture(uint32_t glyph) const {
  const std::scoped_lock lock(mutex_);
  const auto error = FT_Load_Glyph(face_.get(), glyph, FT_LOAD_COLOR | FT_LOAD_RENDER);
  const auto& bitmap = face_->glyph->bitmap;
  if (error != 0 || bitmap.pixel_mode != FT_PIXEL_MODE_BGRA || bitmap.pitch <= 0) {
    throw InputError(fmt::format("{}[{}]: the picture cannot be read", path_.string(), glyph));
  }
  cv::Mat picture(static_cast<int>(bitmap.rows), static_cast<int>(bitmap.width), CV_8UC3);
  for (int y = 0; y < picture.rows; ++y) {
    const uint8_t* from = bitmap.buffer + static_cast<ptrdiff_t>(y) * bitmap.pitch;
    uint8_t* to = picture.ptr<uint8_t>(y);
    for (int x = 0; x < picture.cols; ++x, from += 4, to += 3) {
      const int white = 255 - from[3];  // colours are multiplied by alpha
      for (int channel = 0; channel < 3; ++channel) {
        to[channel] = static_cast<uint8_t>(std::min(255, from[2 - channel] + white));
      }
    }
  }
  return picture;
}

}  // namespace softmoe
