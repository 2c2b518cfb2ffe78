#pragma once
/// Bytes as text. Source: RFC 4648, section 4.

#include <optional>
#include <string>
#include <string_view>

namespace softmoe {

/// `bytes` in base64, padded, without line breaks.
std::string to_base64(std::string_view bytes);

/// The bytes that to_base64() gives `text` for; nothing if it is no such text.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace softmoe
