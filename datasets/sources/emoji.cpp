#include "datasets/sources/emoji.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "core/error.h"
#include "core/lower_case.h"
#include "datasets/characters/color_font.h"
#include "datasets/sources/emoji_list.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// The val split has one of so many subjects.
constexpr uint64_t kSubjectsPerVal = 5;

/// A file that a package of Debian installs.
struct PackageFile {
  const char* package;
  const char* path;
};
constexpr PackageFile kEmojiFont{"fonts-noto-color-emoji",
                                 "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"};
constexpr PackageFile kEmojiNames{"unicode-data", "/usr/share/unicode/emoji/emoji-test.txt"};

/// The file, or one of its name in `folder` if that is not empty.
fs::path package_file(const PackageFile& file, const fs::path& folder) {
  const fs::path path = folder.empty() ? file.path : folder / fs::path(file.path).filename();
  if (!fs::exists(path)) {
    throw InputError(path.string(),
                     fmt::format("the file of Debian's package {} (scripts/pictures.sh emoji), or "
                                 "one of its name in --data-dir",
                                 file.package),
                     "none");
  }
  return path;
}

/// "smileys_and_emotion" for the group "Smileys & Emotion".
std::string class_of_group(const std::string& group) {
  std::string name;
  for (const char letter : lower_case(group)) {
    name += letter == ' ' ? "_" : letter == '&' ? "and" : std::string(1, letter);
  }
  return name;
}

bool is_in(SplitKind split, const Emoji& emoji) {
  const auto subject = emoji.subject();
  const bool is_val = XXH64(subject.data(), subject.size(), 0) % kSubjectsPerVal == 0;
  return split == SplitKind::kAll || (split == SplitKind::kVal) == is_val;
}

class EmojiPictures : public Dataset {
 public:
  EmojiPictures(const fs::path& font, const std::vector<Emoji>& list, SplitKind split)
      : font_(font) {
    for (const auto& emoji : list) {
      const auto name = class_of_group(emoji.group);
      const auto at = std::find(class_names_.begin(), class_names_.end(), name);
      const int64_t label = at - class_names_.begin();
      if (at == class_names_.end()) {
        class_names_.push_back(name);
      }
      const uint32_t glyph = font_.glyph_of(emoji.codes);
      if (glyph != 0 && is_in(split, emoji)) {
        pictures_.push_back({.glyph = glyph, .label = label, .caption = emoji.name});
      }
    }
    if (pictures_.empty()) {
      throw InputError(font.string(), "pictures of emoji", "none");
    }
  }

  int64_t size() const override { return std::ssize(pictures_); }
  Sample get(int64_t index) const override {
    const auto& picture = at(index);
    return {.image = font_.picture(picture.glyph), .label = picture.label};
  }
  int64_t label(int64_t index) const override { return at(index).label; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  bool has_captions() const override { return true; }
  std::string caption(int64_t index) const override { return at(index).caption; }
  std::string sample_name(int64_t index) const override { return "emoji/" + at(index).caption; }

 private:
  struct Picture {
    uint32_t glyph;
    int64_t label;
    std::string caption;
  };

  const Picture& at(int64_t index) const {
    check_index(index, size());
    return pictures_[static_cast<size_t>(index)];
  }

  ColorFont font_;
  std::vector<std::string> class_names_;
  std::vector<Picture> pictures_;
};

}  // namespace

std::unique_ptr<Dataset> open_emoji(const fs::path& folder, SplitKind split) {
  const auto font = package_file(kEmojiFont, folder);
  const auto list = emoji_in(read_text_file(package_file(kEmojiNames, folder)));
  return std::make_unique<EmojiPictures>(font, list, split);
}

}  // namespace softmoe
