#include "datasets/sources/emoji_list.h"

#include <charconv>

#include "core/split_text.h"

namespace softmoe {
namespace {

constexpr uint32_t kPictureSelector = 0xFE0F;
constexpr std::string_view kGroupStart = "# group: ";
constexpr std::string_view kListed = "; fully-qualified";

/// The letters of "1F44B 1F3FB  "; none if there is another word.
std::vector<char32_t> emoji_codes(const std::string& text) {
  std::vector<char32_t> codes;
  for (const auto& word : split_text(text, ' ')) {
    if (word.empty()) {
      continue;
    }
    uint32_t code = 0;
    const char* const end = word.data() + word.size();
    if (std::from_chars(word.data(), end, code, /*base=*/16).ptr != end) {
      return {};
    }
    if (code != kPictureSelector) {
      codes.push_back(static_cast<char32_t>(code));
    }
  }
  return codes;
}

}  // namespace

std::vector<Emoji> emoji_in(const std::string& text) {
  std::vector<Emoji> list;
  std::string group;
  for (const auto& line : split_text(text, '\n')) {
    if (line.starts_with(kGroupStart)) {
      group = trimmed(line.substr(kGroupStart.size()), " \r");
    }
    // "1F600  ; fully-qualified  # (the picture) E1.0 grinning face"
    const auto kind = line.find(kListed);
    const auto version = line.find(" E", kind == line.npos ? line.size() : kind);
    const auto name = version == line.npos ? line.npos : line.find(' ', version + 1);
    if (kind == line.npos || name == line.npos || line.front() == '#') {
      continue;
    }
    list.push_back({.codes = emoji_codes(line.substr(0, kind)),
                    .name = trimmed(line.substr(name), " \r"),
                    .group = group});
  }
  return list;
}

}  // namespace softmoe
