#pragma once
/// Large numbers as people read them, and the width of text.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace softmoe {

/// Stands for a number that is missing.
inline constexpr const char* kNoValue = "\u2013";

/// A large count such as parameters, with three significant digits: 21664896 as "21.7M",
/// 3684880134 as "3.68B"; kNoValue if it is not finite.
std::string format_count(double count);

/// Bytes in decimal units, as memory is sold: 7370000000 as "7.37 GB"; kNoValue if not finite.
std::string format_bytes(double bytes);

/// Reads "20GiB", "512MB", "1.5TB" or a number of bytes, which is at least 0. Returns std::nullopt
/// for other texts.
std::optional<int64_t> parse_bytes(std::string_view text);

/// The number of characters (not bytes) of UTF-8 text.
int64_t text_width(const std::string& text);

/// True if `byte` continues a character of UTF-8 text, so that it takes no column.
inline bool is_continuation_byte(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

}  // namespace softmoe
