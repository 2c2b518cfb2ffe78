#include "core/error.h"

#include <algorithm>
#include <system_error>

namespace softmoe {

std::string system_error_text(int error_number) {
  return std::generic_category().message(error_number);
}

std::string single_line(const std::string& message) {
  const auto end = std::min(message.find("\nException raised from"), message.find("\nframe #0: "));
  std::string line;
  for (const char c : message.substr(0, end)) {
    if (c == '\n') {
      line += "; ";
    } else {
      line += c;
    }
  }
  while (line.ends_with("; ") || line.ends_with(' ')) {
    line.erase(line.size() - (line.ends_with("; ") ? 2 : 1));
  }
  return line;
}

}  // namespace softmoe
