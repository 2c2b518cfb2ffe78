#include "datasets/characters/alphabet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <mutex>
#include <unordered_map>

#include "core/error.h"
#include "core/rng.h"
#include "datasets/characters/confusable_letters.h"
#include "datasets/characters/font_face.h"
#include "datasets/characters/scripts.h"

namespace softmoe {

/// Collects drawings face by face, then keeps the letters that become classes.
class AlphabetBuilder {
 public:
  explicit AlphabetBuilder(std::vector<char32_t> letters)
      : letters_(std::move(letters)), drawings_(letters_.size()) {}

  void add_face(const FontFace& face) {
    const uint64_t missing = outline_key(face.outline(0));
    std::vector<LetterGlyph> drawn;
    for (size_t letter = 0; letter < letters_.size(); ++letter) {
      const uint32_t glyph = face.glyph_of(letters_[letter]);
      if (glyph == 0) {
        continue;
      }
      const Outline outline = face.outline(glyph);
      // Some fonts map letters that they cannot draw to the box that marks missing characters.
      if (!outline.points.empty() && outline_key(outline) != missing) {
        drawn.push_back({static_cast<uint32_t>(letter), add_drawing(letter, outline)});
      }
    }
    if (!drawn.empty()) {
      ++alphabet_.num_faces_;
      faces_.push_back(std::move(drawn));
    }
  }

  Alphabet finish(int64_t min_faces) {
    std::vector<bool> kept(letters_.size());
    for (size_t letter = 0; letter < letters_.size(); ++letter) {
      kept[letter] = std::ssize(drawings_[letter]) >= min_faces;
    }
    drop_confusable_letters(
        faces_, [this](uint32_t glyph) { return view(glyph); }, kept);
    for (size_t letter = 0; letter < letters_.size(); ++letter) {
      if (kept[letter]) {
        alphabet_.class_names_.push_back(letter_name(letters_[letter]));
        alphabet_.class_glyphs_.push_back(std::move(drawings_[letter]));
      }
    }
    return std::move(alphabet_);
  }

 private:
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
      points.insert(points.end(), outline.points.begin(), outline.points.end());
      ends.insert(ends.end(), outline.contour_ends.begin(), outline.contour_ends.end());
      drawings_[letter].push_back(number);
    }
    return place->second;
  }

  GlyphView view(uint32_t glyph) const { return alphabet_.view(glyph); }

  std::vector<char32_t> letters_;
  std::vector<std::vector<uint32_t>> drawings_;  // by letter: indices into glyphs_
  std::unordered_map<uint64_t, uint32_t> known_;
  std::vector<std::vector<LetterGlyph>> faces_;
  Alphabet alphabet_;
};

namespace {

/// The options that an alphabet depends on; train and val splits share one alphabet.
std::string build_key(const CharacterOptions& options) {
  return fmt::format("{}|{}|{}|{}", options.font_dir, fmt::join(options.scripts, ","),
                     options.digits, options.min_faces);
}

std::shared_ptr<const Alphabet> build_from_fonts(const CharacterOptions& options) {
  auto letters = letters_of(options.scripts);
  if (options.digits) {
    for (char32_t digit = U'0'; digit <= U'9'; ++digit) {
      letters.push_back(digit);
    }
  }
  const auto fonts = find_fonts(options.font_dir);
  AlphabetBuilder builder(std::move(letters));
  for (const auto& font : fonts) {
    for (const auto& face : open_faces(font)) {
      builder.add_face(*face);
    }
  }
  auto alphabet = std::make_shared<const Alphabet>(builder.finish(options.min_faces));
  if (alphabet->class_names().empty()) {
    throw InputError(
        fmt::format("characters: no letter of the scripts {} has {} different drawings in the {} "
                    "font files of /usr/share/fonts and --font-dir: install fonts "
                    "(fonts-dejavu-core, fonts-noto-core) or lower --min-faces",
                    fmt::join(options.scripts, ", "), options.min_faces, fonts.size()));
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

int64_t Alphabet::num_glyphs(int64_t label) const {
  return std::ssize(class_glyphs_.at(static_cast<size_t>(label)));
}

GlyphView Alphabet::glyph(int64_t label, int64_t number) const {
  return view(class_glyphs_[static_cast<size_t>(label)][static_cast<size_t>(number)]);
}

GlyphView Alphabet::view(uint32_t glyph) const {
  const auto& range = glyphs_[glyph];
  return {std::span(points_).subspan(range.first_point, range.points),
          std::span(contour_ends_).subspan(range.first_contour, range.contours)};
}

}  // namespace softmoe
