#include "datasets/characters/alphabet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "core/rng.h"
#include "datasets/characters/confusable_letters.h"
#include "datasets/characters/font_face.h"
#include "datasets/characters/letter_caption.h"
#include "datasets/characters/scripts.h"

namespace softmoe {

/// Collects drawings face by face, then keeps the letters that become classes.
class AlphabetBuilder {
 public:
  explicit AlphabetBuilder(std::vector<char32_t> letters)
      : letters_(std::move(letters)), drawings_(letters_.size()) {}

  void add_face(const FontFace& face, bool is_held_out) {
    const uint64_t missing = outline_key(face.outline(0));
    style_ = style_index(face.style());
    std::vector<LetterGlyph> drawn;
    for (size_t letter = 0; letter < letters_.size(); ++letter) {
      const uint32_t glyph = face.glyph_of(letters_[letter]);
      const auto drawing = glyph == 0 ? std::nullopt : drawing_of(face, glyph, letter, missing);
      if (drawing) {
        held_out_[*drawing] = held_out_[*drawing] && is_held_out;
        drawn.push_back({static_cast<uint32_t>(letter), *drawing});
      }
    }
    if (!drawn.empty()) {
      ++alphabet_.num_faces_;
      faces_.push_back(std::move(drawn));
    }
  }

  /// If `holds_out`, classes have drawings of fonts that are held out.
  Alphabet finish(int64_t min_faces, bool holds_out) {
    std::vector<bool> kept(letters_.size());
    std::vector<bool> compared(letters_.size());
    for (size_t letter = 0; letter < letters_.size(); ++letter) {
      const int64_t held_out = std::count_if(drawings_[letter].begin(), drawings_[letter].end(),
                                             [this](uint32_t glyph) { return held_out_[glyph]; });
      kept[letter] =
          std::ssize(drawings_[letter]) - held_out >= min_faces && (held_out > 0 || !holds_out);
      compared[letter] = kept[letter] && !is_detailed(letters_[letter]);
    }
    drop_confusable_letters(
        faces_, [this](uint32_t glyph) { return view(glyph); }, compared);
    for (size_t letter = 0; letter < letters_.size(); ++letter) {
      if (compared[letter] || (kept[letter] && is_detailed(letters_[letter]))) {
        add_class(letter);
      }
    }
    return std::move(alphabet_);
  }

 private:
  uint32_t style_index(const std::string& style) {
    auto& styles = alphabet_.styles_;
    const auto at = std::find(styles.begin(), styles.end(), style);
    const auto index = static_cast<uint32_t>(at - styles.begin());
    if (at == styles.end()) {
      styles.push_back(style);
    }
    return index;
  }

  void add_class(size_t letter) {
    alphabet_.class_names_.push_back(letter_name(letters_[letter]));
    alphabet_.class_captions_.push_back(letter_caption(letters_[letter]));
    auto& glyphs = alphabet_.class_glyphs_.emplace_back();
    auto& held_out = alphabet_.held_out_glyphs_.emplace_back();
    for (const uint32_t glyph : drawings_[letter]) {
      (held_out_[glyph] ? held_out : glyphs).push_back(glyph);
    }
  }

  /// The number of the drawing of `letter`; none if the face has no outline for it. Faces of one
  /// font have most shapes of Han characters in common.
  std::optional<uint32_t> drawing_of(const FontFace& face, uint32_t glyph, size_t letter,
                                     uint64_t missing) {
    const uint64_t shape = face.shape_key(glyph) ^ letter;
    const auto known = shapes_.find(shape);
    if (known != shapes_.end()) {
      return known->second;
    }
    const Outline outline = face.outline(glyph);
    // Some fonts map letters that they cannot draw to the box that marks missing characters.
    if (outline.points.empty() || outline_key(outline) == missing) {
      return std::nullopt;
    }
    const uint32_t number = add_drawing(letter, outline);
    shapes_.emplace(shape, number);
    return number;
  }

  /// The number of the drawing, which is stored if it is new for this letter.
  uint32_t add_drawing(size_t letter, const Outline& outline) {
    const auto number = static_cast<uint32_t>(alphabet_.glyphs_.size());
    const uint64_t key = splitmix64(outline_key(outline)) ^ letter;
    const auto [place, is_new] = known_.try_emplace(key, number);
    if (is_new) {
      auto& points = alphabet_.points_;
      auto& ends = alphabet_.contour_ends_;
      alphabet_.glyphs_.push_back(
          {points.size(), ends.size(), outline.points.size(), outline.contour_ends.size()});
      alphabet_.glyph_styles_.push_back(style_);
      points.insert(points.end(), outline.points.begin(), outline.points.end());
      ends.insert(ends.end(), outline.contour_ends.begin(), outline.contour_ends.end());
      drawings_[letter].push_back(number);
      held_out_.push_back(true);  // until a font that is not held out has it
    }
    return place->second;
  }

  GlyphView view(uint32_t glyph) const { return alphabet_.view(glyph); }

  std::vector<char32_t> letters_;
  std::vector<std::vector<uint32_t>> drawings_;  // by letter: indices into glyphs_
  std::unordered_map<uint64_t, uint32_t> known_;
  std::unordered_map<uint64_t, uint32_t> shapes_;  // by shape and letter: drawings
  std::vector<bool> held_out_;                     // by drawing: only held-out fonts have it
  std::vector<std::vector<LetterGlyph>> faces_;
  uint32_t style_ = 0;  // of the face that is added
  Alphabet alphabet_;
};

namespace {

/// The options that an alphabet depends on; train and val splits share one alphabet.
std::string build_key(const CharacterOptions& options) {
  return fmt::format("{}|{}|{}|{}|{}", options.font_dir, fmt::join(options.scripts, ","),
                     options.digits, options.min_faces, fmt::join(options.val_fonts, "|"));
}

/// Throws InputError unless every name is that of a font.
void check_names(const std::vector<std::string>& names,
                 const std::vector<std::filesystem::path>& fonts) {
  for (const auto& name : names) {
    if (std::none_of(fonts.begin(), fonts.end(),
                     [&name](const auto& font) { return font.filename() == name; })) {
      throw InputError("char-val-fonts", "names of font files in /usr/share/fonts and --font-dir",
                       "'" + printable_text(name) + "'");
    }
  }
}

std::shared_ptr<const Alphabet> build_from_fonts(const CharacterOptions& options) {
  auto letters = letters_of(options.scripts);
  if (options.digits) {
    for (char32_t digit = U'0'; digit <= U'9'; ++digit) {
      letters.push_back(digit);
    }
  }
  const auto fonts = find_fonts(options.font_dir);
  check_names(options.val_fonts, fonts);
  AlphabetBuilder builder(std::move(letters));
  for (const auto& font : fonts) {
    const auto& held_out = options.val_fonts;
    const bool is_held_out =
        std::find(held_out.begin(), held_out.end(), font.filename()) != held_out.end();
    for (const auto& face : open_faces(font)) {
      builder.add_face(*face, is_held_out);
    }
  }
  auto alphabet = std::make_shared<const Alphabet>(
      builder.finish(options.min_faces, !options.val_fonts.empty()));
  if (alphabet->class_names().empty()) {
    throw InputError(
        fmt::format("characters: no letter of the scripts {} has {} different drawings in the {} "
                    "font files of /usr/share/fonts and --font-dir{}: install fonts "
                    "(fonts-dejavu-core, fonts-noto-core; scripts/fonts.sh has those of Han) or "
                    "lower --min-faces",
                    fmt::join(options.scripts, ", "), options.min_faces, fonts.size(),
                    options.val_fonts.empty() ? "" : " and another one in --char-val-fonts"));
  }
  return alphabet;
}

}  // namespace

std::shared_ptr<const Alphabet> Alphabet::build(const CharacterOptions& options) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const Alphabet>> built;
  const std::lock_guard lock(mutex);
  auto& entry = built[build_key(options)];
  auto alphabet = entry.lock();
  if (!alphabet) {
    alphabet = build_from_fonts(options);
    entry = alphabet;
  }
  return alphabet;
}

int64_t Alphabet::num_glyphs(int64_t label, bool held_out) const {
  return std::ssize((held_out ? held_out_glyphs_ : class_glyphs_).at(static_cast<size_t>(label)));
}

uint32_t Alphabet::glyph_index(int64_t label, int64_t number, bool held_out) const {
  const auto& glyphs = held_out ? held_out_glyphs_ : class_glyphs_;
  return glyphs[static_cast<size_t>(label)][static_cast<size_t>(number)];
}

GlyphView Alphabet::glyph(int64_t label, int64_t number, bool held_out) const {
  return view(glyph_index(label, number, held_out));
}

const std::string& Alphabet::style(int64_t label, int64_t number, bool held_out) const {
  return styles_[glyph_styles_[glyph_index(label, number, held_out)]];
}

GlyphView Alphabet::view(uint32_t glyph) const {
  const auto& range = glyphs_[glyph];
  return {std::span(points_).subspan(range.first_point, range.points),
          std::span(contour_ends_).subspan(range.first_contour, range.contours)};
}

}  // namespace softmoe
