#pragma once
/// Text in parts.

#include <string>
#include <string_view>
#include <vector>

namespace softmoe {

/// The parts of `text` between `separator`s. As with lines of a file, a separator at the end ends
/// the last part and begins no other; empty text has no parts.
std::vector<std::string> split_text(const std::string& text, char separator);

/// `text` without the characters of `spaces` at its begin and end.
std::string trimmed(std::string_view text, std::string_view spaces);

}  // namespace softmoe
