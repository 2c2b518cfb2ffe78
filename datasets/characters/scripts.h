#pragma once
/// Writing systems and their letters, as ranges of Unicode.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe {

/// Code points first to last, both included.
struct CodeRange {
  char32_t first;
  char32_t last;
};

/// One writing system: its letters without accented ones, digits and marks. Code points inside a
/// range that Unicode leaves unassigned have no glyph in any font and so never become classes.
struct Script {
  std::string_view name;
  std::vector<CodeRange> letters;
  /// True if letters differ in details, such as Han's: those that look alike in a small picture
  /// are different letters nevertheless.
  bool is_detailed = false;
};

std::span<const Script> script_table();

/// The letters of the scripts with these names, in the order of the table, not of `names`; "all"
/// stands for every script. Throws UsageError that lists the known names.
std::vector<char32_t> letters_of(const std::vector<std::string>& names);

/// Returns true if `code` belongs to a script with Script::is_detailed.
bool is_detailed(char32_t code);

/// "U+0416 Ж": the code point, then the character in UTF-8.
std::string letter_name(char32_t code);

}  // namespace softmoe
