#include "core/split_text.h"

#include <sstream>

namespace softmoe {

std::vector<std::string> split_text(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    parts.push_back(part);
  }
  return parts;
}

std::string trimmed(std::string_view text, std::string_view spaces) {
  const auto first = text.find_first_not_of(spaces);
  return first == text.npos
             ? ""
             : std::string(text.substr(first, text.find_last_not_of(spaces) - first + 1));
}

}  // namespace softmoe
