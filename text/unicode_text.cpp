#include "text/unicode_text.h"

#include <utf8proc.h>

#include <array>

namespace softmoe {
namespace {

constexpr char32_t kReplacement = U'\uFFFD';
/// The only capital letter whose small one is two code points in every language.
constexpr char32_t kDottedCapitalI = U'\u0130';

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string codes;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  for (utf8proc_ssize_t place = 0; place < size;) {
    utf8proc_int32_t code = 0;
    const auto step = utf8proc_iterate(bytes + place, size - place, &code);
    codes += step > 0 ? static_cast<char32_t>(code) : kReplacement;
    place += step > 0 ? step : 1;
  }
  return codes;
}

std::string to_utf8(std::u32string_view text) {
  std::string bytes;
  for (const auto code : text) {
    std::array<utf8proc_uint8_t, 4> buffer{};
    const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), buffer.data());
    bytes.append(reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(size));
  }
  return bytes;
}

std::u32string lower_cased(std::u32string_view text) {
  std::u32string lower;
  for (const auto code : text) {
    if (code == kDottedCapitalI) {
      lower += U"i\u0307";
    } else {
      lower += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
    }
  }
  return lower;
}

bool is_letter(char32_t code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_number(char32_t code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool is_white_space(char32_t code) {
  if ((code >= U'\t' && code <= U'\r') || code == U'\u0085') {
    return true;
  }
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP;
}

}  // namespace softmoe
