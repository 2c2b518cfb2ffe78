#include "core/error.h"

#include <utf8proc.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace softmoe {
namespace {

/// The number of bytes of the first character of `text`, and true if a terminal would obey it:
/// control characters, also as single bytes that are not UTF-8, separators of lines, and what
/// turns the direction of text.
std::pair<size_t, bool> first_character(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text.front());
  if (byte < 0x80) {
    return {1, byte < ' ' || byte == 0x7f};
  }
  utf8proc_int32_t code_point = 0;
  const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  if (size < 0) {
    return {1, byte < 0xa0};
  }
  const bool is_separator_or_turn = (code_point >= 0x2028 && code_point <= 0x202e) ||
                                    (code_point >= 0x2066 && code_point <= 0x2069);
  return {static_cast<size_t>(size), code_point < 0xa0 || is_separator_or_turn};
}

}  // namespace

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
  while (!text.empty()) {
    const auto [size, is_control] = first_character(text);
    if (is_control) {
      shown += '?';
    } else {
      shown += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return shown;
}

}  // namespace softmoe
