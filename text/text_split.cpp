#include "text/text_split.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/unicode.h"
#include "text/unicode_text.h"

namespace softmoe {
namespace {

using namespace std::literals;

constexpr std::array kEndings{U"'s"sv, U"'t"sv, U"'re"sv, U"'ve"sv, U"'m"sv, U"'ll"sv, U"'d"sv};
constexpr std::array kMarks{U"<|startoftext|>"sv, U"<|endoftext|>"sv};

bool is_other(char32_t code) {
  return !is_letter(code) && !is_number(code) && !is_white_space(code);
}

/// The length of the one of `literals` that `rest` begins with, or 0.
template <size_t count>
size_t literal_length(std::u32string_view rest,
                      const std::array<std::u32string_view, count>& literals) {
  for (const auto& literal : literals) {
    if (rest.starts_with(literal)) {
      return literal.size();
    }
  }
  return 0;
}

/// The number of code points for which `belongs` is true at the begin of `rest`.
size_t run_length(std::u32string_view rest, bool (*belongs)(char32_t)) {
  return static_cast<size_t>(
      std::find_if_not(rest.begin(), rest.end(), [&](char32_t code) { return belongs(code); }) -
      rest.begin());
}

/// The class of characters that a run of `code` has, which is no white space.
bool (*run_of(char32_t code))(char32_t) {
  return is_letter(code) ? is_letter : is_number(code) ? is_number : is_other;
}

/// The length of GPT-2's first part of `rest`, which is not empty.
size_t gpt2_length(std::u32string_view rest) {
  if (const auto ending = literal_length(rest, kEndings); ending > 0) {
    return ending;
  }
  const size_t space = rest.front() == U' ' ? 1 : 0;
  if (rest.size() > space && !is_white_space(rest[space])) {
    return space + run_length(rest.substr(space), run_of(rest[space]));
  }
  const auto spaces = run_length(rest, is_white_space);
  // The last space before a word belongs to the word.
  return spaces < rest.size() && spaces > 1 ? spaces - 1 : spaces;
}

}  // namespace

std::vector<std::string> clip_parts(const std::string& text) {
  const auto lower = lower_cased(code_points(nfc(text)));
  std::vector<std::string> parts;
  for (std::u32string_view rest = lower; !rest.empty();) {
    if (is_white_space(rest.front())) {
      rest.remove_prefix(1);
      continue;
    }
    auto length = literal_length(rest, kMarks);
    if (length == 0) {
      length = literal_length(rest, kEndings);
    }
    if (length == 0) {
      length = is_number(rest.front()) ? 1 : run_length(rest, run_of(rest.front()));
    }
    parts.push_back(to_utf8(rest.substr(0, length)));
    rest.remove_prefix(length);
  }
  return parts;
}

std::vector<std::string> gpt2_parts(const std::string& text) {
  const auto codes = code_points(text);
  const bool is_utf8 = to_utf8(codes) == text;
  std::vector<std::string> parts;
  if (!is_utf8) {  // its bytes, in parts of a length that merging is fast for
    constexpr size_t kPartBytes = 64;
    for (size_t begin = 0; begin < text.size(); begin += kPartBytes) {
      parts.push_back(text.substr(begin, kPartBytes));
    }
    return parts;
  }
  for (std::u32string_view rest = codes; !rest.empty();) {
    const auto length = gpt2_length(rest);
    parts.push_back(to_utf8(rest.substr(0, length)));
    rest.remove_prefix(length);
  }
  return parts;
}

}  // namespace softmoe
