#include "core/base64.h"

#include <array>
#include <cstdint>

namespace softmoe {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of each digit; -1 for other characters.
constexpr std::array<int, 256> digit_values() {
  std::array<int, 256> values{};
  values.fill(-1);
  for (size_t value = 0; value < kDigits.size(); ++value) {
    values[static_cast<uint8_t>(kDigits[value])] = static_cast<int>(value);
  }
  return values;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t place = 0; place < bytes.size(); place += 3) {
    uint32_t group = 0;
    for (size_t next = 0; next < 3; ++next) {
      const auto byte = place + next < bytes.size() ? static_cast<uint8_t>(bytes[place + next]) : 0;
      group = (group << 8) | byte;
    }
    for (size_t digit = 0; digit < 4; ++digit) {
      const bool is_filler = place + digit > bytes.size();
      text += is_filler ? '=' : kDigits[(group >> (18 - 6 * digit)) & 63];
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  static constexpr auto kValues = digit_values();
  if (text.size() % 4 != 0) {
    return std::nullopt;
  }
  std::string bytes;
  for (size_t place = 0; place < text.size(); place += 4) {
    uint32_t group = 0;
    size_t fillers = 0;
    for (size_t digit = 0; digit < 4; ++digit) {
      const auto letter = text[place + digit];
      const bool is_filler = letter == '=' && digit >= 2 && place + 4 == text.size();
      const auto value = is_filler ? 0 : kValues[static_cast<uint8_t>(letter)];
      if (value < 0 || (fillers > 0 && !is_filler)) {
        return std::nullopt;
      }
      fillers += is_filler ? 1 : 0;
      group = (group << 6) | static_cast<uint32_t>(value);
    }
    for (size_t byte = 0; byte < 3 - fillers; ++byte) {
      bytes += static_cast<char>((group >> (16 - 8 * byte)) & 0xFF);
    }
  }
  return bytes;
}

}  // namespace softmoe
