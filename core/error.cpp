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
    const bool is_control = static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    if (c == '\n') {
      line += "; ";
    } else {
      line += is_control ? '?' : c;
    }
  }
  while (line.ends_with("; ") || line.ends_with(' ')) {
    line.erase(line.size() - (line.ends_with("; ") ? 2 : 1));
  }
  return line;
}

std::string printable_text(std::string_view text, size_t limit) {
  const auto is_inside_character = [&](size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
  };
  size_t end = std::min(text.size(), limit);
  while (end > 0 && end < text.size() && is_inside_character(end)) {
    --end;
  }
  const auto shown = terminal_text(text.substr(0, end));
  return end < text.size() ? shown + "..." : shown;
}

std::string terminal_text(std::string_view text) {
  std::string shown;
  for (size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const auto next = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0;
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // a control character of two bytes
      shown += '?';
      ++at;
    } else {
      shown += byte < ' ' || byte == 0x7f ? '?' : text[at];
    }
  }
  return shown;
}

}  // namespace softmoe
