#include "core/unicode.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <regex>

namespace softmoe {
namespace {

const utf8proc_uint8_t* bytes_at(const std::string& text, size_t place = 0) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + place;
}

/// `text` after the changes of `options`, or as it is if it is not UTF-8.
std::string mapped(const std::string& text, int options) {
  utf8proc_uint8_t* result = nullptr;
  const auto size = utf8proc_map(bytes_at(text), static_cast<utf8proc_ssize_t>(text.size()),
                                 &result, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  return size < 0 ? text : std::string(result, result + size);
}

}  // namespace

std::string nfc(const std::string& text) {
  return mapped(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

std::string case_folded(const std::string& text) {
  return mapped(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
}

std::string escaped_name(const std::string& name) {
  static const std::regex escape(R"(\\x[0-9A-F]{2})");
  std::string escaped;
  bool has_other_bytes = false;
  for (size_t place = 0; place < name.size();) {
    utf8proc_int32_t code_point = 0;
    const auto size = utf8proc_iterate(
        bytes_at(name, place), static_cast<utf8proc_ssize_t>(name.size() - place), &code_point);
    if (size < 0) {
      has_other_bytes = true;
      escaped += fmt::format("\\x{:02X}", static_cast<unsigned char>(name[place]));
      ++place;
    } else {
      escaped += name[place] == '\\' ? "\\\\" : name.substr(place, static_cast<size_t>(size));
      place += static_cast<size_t>(size);
    }
  }
  if (has_other_bytes) {
    return escaped;
  }
  return nfc(std::regex_search(name, escape) ? escaped : name);
}

}  // namespace softmoe
