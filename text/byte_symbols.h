#pragma once
/// The 256 bytes as printable characters, in which GPT-2's and CLIP's vocabularies are written.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace softmoe {

/// The place of `byte` among the 256 byte symbols in the order of GPT-2's table: printable bytes of
/// Latin-1 first. Source: openai/gpt-2, encoder.py, bytes_to_unicode().
int64_t symbol_of_byte(uint8_t byte);
/// The byte whose place is `symbol` in [0, 256).
uint8_t byte_of_symbol(int64_t symbol);

/// `bytes` as GPT-2 writes them: one printable character per byte, such as U+0120 for a space.
std::string printable_bytes(std::string_view bytes);
/// The bytes that printable_bytes() gives `text` for; nothing if it is no such text.
std::optional<std::string> bytes_of_printable(std::string_view text);

}  // namespace softmoe
