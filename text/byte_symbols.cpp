#include "text/byte_symbols.h"

#include <array>

#include "text/unicode_text.h"

namespace softmoe {
namespace {

/// The bytes that stand for themselves: printable ones of Latin-1, without the soft hyphen.
constexpr bool is_printable_byte(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct SymbolTable {
  std::array<uint8_t, 256> bytes{};     // by symbol
  std::array<uint8_t, 256> symbols{};   // by byte
  std::array<char32_t, 256> letters{};  // by byte
};

constexpr SymbolTable make_symbol_table() {
  SymbolTable table;
  int symbol = 0;
  char32_t other = 0x100;
  for (const bool printable : {true, false}) {
    for (int byte = 0; byte < 256; ++byte) {
      if (is_printable_byte(byte) == printable) {
        table.bytes[static_cast<size_t>(symbol)] = static_cast<uint8_t>(byte);
        table.symbols[static_cast<size_t>(byte)] = static_cast<uint8_t>(symbol++);
        table.letters[static_cast<size_t>(byte)] =
            printable ? static_cast<char32_t>(byte) : other++;
      }
    }
  }
  return table;
}

constexpr SymbolTable kSymbols = make_symbol_table();

}  // namespace

int64_t symbol_of_byte(uint8_t byte) { return kSymbols.symbols[byte]; }

uint8_t byte_of_symbol(int64_t symbol) { return kSymbols.bytes.at(static_cast<size_t>(symbol)); }

std::string printable_bytes(std::string_view bytes) {
  std::u32string text;
  for (const auto byte : bytes) {
    text += kSymbols.letters[static_cast<uint8_t>(byte)];
  }
  return to_utf8(text);
}

std::optional<std::string> bytes_of_printable(std::string_view text) {
  std::string bytes;
  for (const auto code : code_points(text)) {
    size_t byte = 0;
    while (byte < 256 && kSymbols.letters[byte] != code) {
      ++byte;
    }
    if (byte == 256) {
      return std::nullopt;
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace softmoe
