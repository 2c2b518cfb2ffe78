#pragma once
/// The list of emoji of the Unicode Consortium (emoji-test.txt).

#include <string>
#include <vector>

namespace softmoe {

/// A small picture that Unicode names.
struct Emoji {
  std::vector<char32_t> codes;  ///< without those that only choose a picture instead of a letter
  std::string name;             ///< "waving hand: light skin tone"
  std::string group;            ///< "People & Body"

  /// The name without what makes variants of one subject: "waving hand".
  std::string subject() const { return name.substr(0, name.find(':')); }
};

/// The fully qualified emoji of `text`, in its order. Source: Unicode Technical Standard 51.
std::vector<Emoji> emoji_in(const std::string& text);

}  // namespace softmoe
