#pragma once
/// JSON from outside, within limits.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/json_text.h"

namespace softmoe {

/// Limits of parse_json(). Json keeps the order of keys and so looks them up one by one: the time
/// grows with the square of their number.
inline constexpr int64_t kJsonDepthLimit = 64;
inline constexpr int64_t kJsonKeyLimit = 20'000;

/// Parses `text`, keeping the order of keys. Throws InputError that names `where`: not JSON, deeper
/// than kJsonDepthLimit, more keys than kJsonKeyLimit.
Json parse_json(std::string_view text, const std::string& where);

/// Parses `text` with any number of keys, which are sorted in the result. Throws InputError that
/// names `where`: not JSON, deeper than kJsonDepthLimit.
Json parse_sorted_json(std::string_view text, const std::string& where);

}  // namespace softmoe
