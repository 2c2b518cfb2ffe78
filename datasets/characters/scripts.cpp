#include "datasets/characters/scripts.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/registry.h"

namespace softmoe {

std::span<const Script> script_table() {
  // Source: the code charts of the Unicode Standard, version 15.
  static const std::vector<Script> table = {
      {"latin", {{U'A', U'Z'}, {U'a', U'z'}}},
      {"greek", {{0x0391, 0x03A1}, {0x03A3, 0x03A9}, {0x03B1, 0x03C9}}},
      {"cyrillic", {{0x0410, 0x044F}}},
      {"armenian", {{0x0531, 0x0556}, {0x0561, 0x0586}}},
      {"georgian", {{0x10D0, 0x10F0}}},
      {"hebrew", {{0x05D0, 0x05EA}}},
      {"arabic", {{0x0621, 0x063A}, {0x0641, 0x064A}}},
      {"devanagari", {{0x0905, 0x0939}}},
      {"bengali", {{0x0985, 0x09B9}}},
      {"gurmukhi", {{0x0A05, 0x0A39}}},
      {"gujarati", {{0x0A85, 0x0AB9}}},
      {"oriya", {{0x0B05, 0x0B39}}},
      {"tamil", {{0x0B85, 0x0BB9}}},
      {"telugu", {{0x0C05, 0x0C39}}},
      {"kannada", {{0x0C85, 0x0CB9}}},
      {"malayalam", {{0x0D05, 0x0D39}}},
      {"sinhala", {{0x0D85, 0x0DC6}}},
      {"thai", {{0x0E01, 0x0E2E}}},
      {"lao", {{0x0E81, 0x0EAE}}},
      {"tibetan", {{0x0F40, 0x0F6C}}},
      {"myanmar", {{0x1000, 0x102A}}},
      {"khmer", {{0x1780, 0x17B3}}},
      {"mongolian", {{0x1820, 0x1842}}},
      {"ethiopic", {{0x1200, 0x1357}}},
      {"cherokee", {{0x13A0, 0x13F4}}},
      {"canadian", {{0x1401, 0x166C}}},
      {"ogham", {{0x1681, 0x169A}}},
      {"runic", {{0x16A0, 0x16EA}}},
      {"glagolitic", {{0x2C00, 0x2C5F}}},
      {"coptic", {{0x2C80, 0x2CB1}}},
      {"tifinagh", {{0x2D30, 0x2D67}}},
      {"lisu", {{0xA4D0, 0xA4F7}}},
      {"vai", {{0xA500, 0xA60B}}},
      {"nko", {{0x07CA, 0x07EA}}},
      {"syriac", {{0x0710, 0x072F}}},
      {"thaana", {{0x0780, 0x07A5}}},
      {"hiragana", {{0x3041, 0x3096}}},
      {"katakana", {{0x30A1, 0x30FA}}},
      {"bopomofo", {{0x3105, 0x312F}}},
      {"hangul", {{0xAC00, 0xD7A3}}, /*is_detailed=*/true},
      {"han", {{0x4E00, 0x9FFF}, {0x3400, 0x4DBF}}, /*is_detailed=*/true},
      {"cuneiform", {{0x12000, 0x12399}}},
      {"hieroglyphs", {{0x13000, 0x1342E}}},
  };
  return table;
}

std::vector<char32_t> letters_of(const std::vector<std::string>& names) {
  bool all = false;
  for (const auto& name : names) {
    if (name == "all") {
      all = true;
    } else {
      find_row(script_table(), name, "script (or all)");
    }
  }
  std::vector<char32_t> letters;
  for (const auto& script : script_table()) {
    if (all || std::find(names.begin(), names.end(), script.name) != names.end()) {
      for (const auto& [first, last] : script.letters) {
        for (char32_t code = first; code <= last; ++code) {
          letters.push_back(code);
        }
      }
    }
  }
  return letters;
}

bool is_detailed(char32_t code) {
  const auto contains = [code](const CodeRange& range) {
    return range.first <= code && code <= range.last;
  };
  return std::any_of(script_table().begin(), script_table().end(), [&](const Script& script) {
    return script.is_detailed &&
           std::any_of(script.letters.begin(), script.letters.end(), contains);
  });
}

std::string letter_name(char32_t code) {
  std::string text;
  const auto push = [&text](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xC0 | (code >> 6));
    push(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    push(0xE0 | (code >> 12));
    push(0x80 | ((code >> 6) & 0x3F));
    push(0x80 | (code & 0x3F));
  } else {
    push(0xF0 | (code >> 18));
    push(0x80 | ((code >> 12) & 0x3F));
    push(0x80 | ((code >> 6) & 0x3F));
    push(0x80 | (code & 0x3F));
  }
  return fmt::format("U+{:04X} {}", static_cast<uint32_t>(code), text);
}

}  // namespace softmoe
