#pragma once
/// Letters in words.

#include <string>

namespace softmoe {

/// The name of `code` in Unicode, such as "Devanagari letter KA" or "Latin capital letter A": small
/// letters up to the word "letter", behind which the letter's own name stays in capitals. "U+0416"
/// of code points without a name.
std::string letter_caption(char32_t code);

}  // namespace softmoe
