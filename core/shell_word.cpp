#include "core/shell_word.h"

namespace softmoe {

std::string shell_word(const std::string& word) {
  const bool is_plain =
      !word.empty() && word.find_first_of(" \t\n\"'\\$`!*?[](){}<>|&;#~") == std::string::npos;
  if (is_plain) {
    return word;
  }
  std::string quoted = "'";
  for (const char character : word) {
    quoted += character == '\'' ? std::string("'\\''") : std::string(1, character);
  }
  return quoted + "'";
}

}  // namespace softmoe
