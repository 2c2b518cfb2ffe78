#pragma once
/// Numbers and texts at places of a file that may lie.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace softmoe {

/// The bytes of a file, or a part of them.
using Bytes = std::span<const uint8_t>;

enum class ByteOrder { kLittle, kBig };

/// The bytes [offset, offset + count), fewer or none if the view ends before.
inline Bytes bytes_at(Bytes bytes, uint64_t offset, uint64_t count) {
  const auto begin = std::min<uint64_t>(offset, bytes.size());
  return bytes.subspan(begin, std::min<uint64_t>(count, bytes.size() - begin));
}

/// The bytes from `offset` to the end.
inline Bytes bytes_from(Bytes bytes, uint64_t offset) {
  return bytes_at(bytes, offset, bytes.size());
}

/// The unsigned integer of `count` <= 8 bytes at `offset`; nothing if the view ends before.
inline std::optional<uint64_t> number_at(Bytes bytes, uint64_t offset, size_t count,
                                         ByteOrder order) {
  const auto digits = bytes_at(bytes, offset, count);
  if (digits.size() < count) {
    return std::nullopt;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    value = (value << 8) | digits[order == ByteOrder::kLittle ? count - 1 - i : i];
  }
  return value;
}

/// The bytes as characters.
inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Returns true if `text` stands at `offset`.
inline bool has_text(Bytes bytes, uint64_t offset, std::string_view text) {
  return text_of(bytes_at(bytes, offset, text.size())) == text;
}

}  // namespace softmoe
