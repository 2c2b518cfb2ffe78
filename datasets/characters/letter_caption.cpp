#include "datasets/characters/letter_caption.h"

#include <fmt/format.h>
#include <unicode/uchar.h>

#include <array>
#include <string_view>

#include "core/lower_case.h"

namespace softmoe {
namespace {

constexpr std::string_view kLetterWord = " LETTER ";

}  // namespace

std::string letter_caption(char32_t code) {
  std::array<char, 256> buffer{};
  UErrorCode status = U_ZERO_ERROR;
  const auto size = u_charName(static_cast<UChar32>(code), U_EXTENDED_CHAR_NAME, buffer.data(),
                               static_cast<int32_t>(buffer.size()), &status);
  if (U_FAILURE(status) || size == 0 || buffer[0] == '<') {
    return fmt::format("U+{:04X}", static_cast<uint32_t>(code));
  }
  const std::string name(buffer.data(), static_cast<size_t>(size));
  const auto letter = name.find(kLetterWord);
  const auto own = letter == name.npos ? name.size() : letter + kLetterWord.size();
  auto text = lower_case(name.substr(0, own)) + name.substr(own);
  text.front() = name.front();
  return text;
}

}  // namespace softmoe
