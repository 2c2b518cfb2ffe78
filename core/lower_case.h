#pragma once
/// Names that count in letters of either case.

#include <algorithm>
#include <string>

namespace softmoe {

/// `text` with the ASCII letters in lower case, in any locale.
inline std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 'a' - 'A') : letter;
  });
  return text;
}

}  // namespace softmoe
