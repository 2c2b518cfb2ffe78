#pragma once
/// Options of the rendered characters.

#include <cstdint>
#include <string>
#include <vector>

namespace softmoe {

class OptionTable;

/// Which letters are rendered and how they are distorted. Lengths are shares of the glyph's longer
/// side unless said otherwise; distortions are drawn uniformly up to the given size.
struct CharacterOptions {
  std::string font_dir;  ///< a folder of fonts besides /usr/share/fonts
  /// Names of font files whose drawings the val split alone has; empty: both have all drawings.
  std::vector<std::string> val_fonts;
  std::vector<std::string> scripts = {"latin",    "greek",  "cyrillic", "armenian",
                                      "georgian", "hebrew", "arabic",   "devanagari"};
  bool digits = false;    ///< 0-9 as ten more classes
  int64_t min_faces = 6;  ///< different drawings that a letter needs to become a class
  int64_t size = 28;      ///< side of the image in pixels
  int64_t epoch_images = 60000;
  int64_t val_images = 10000;
  int64_t seed = 0;

  double fill_min = 0.70;  ///< the glyph's longer side as a share of the frame
  double fill_max = 0.95;
  double rotation = 12.0;  ///< degrees, in both directions
  double shear = 0.2;      ///< horizontal shift over height, in both directions
  double stretch = 0.15;   ///< change of the aspect ratio, in both directions
  double elastic = 0.08;   ///< max shift of a control point of the elastic field
  double thinner = 0.01;   ///< max shift of the outline inwards
  double thicker = 0.04;   ///< max shift of the outline outwards
  double blur = 0.035;     ///< standard deviation, share of the frame
  double noise = 0.06;     ///< standard deviation, share of white

  bool operator==(const CharacterOptions&) const = default;
};
void describe(OptionTable& table, CharacterOptions& options);

}  // namespace softmoe
