#pragma once
/// Text as code points, and their classes in Unicode.

#include <string>
#include <string_view>

namespace softmoe {

/// The code points of `text`; U+FFFD for each byte that is not UTF-8.
std::u32string code_points(std::string_view text);

/// `text` as UTF-8.
std::string to_utf8(std::u32string_view text);

/// `text` with every letter in lower case, as Unicode's default mapping of single code points.
std::u32string lower_cased(std::u32string_view text);

/// Returns true for the classes L*: Lu, Ll, Lt, Lm, Lo.
bool is_letter(char32_t code);
/// Returns true for the classes N*: Nd, Nl, No.
bool is_number(char32_t code);
/// Returns true for Unicode's property White_Space.
bool is_white_space(char32_t code);

}  // namespace softmoe
