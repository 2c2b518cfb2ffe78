#include "io/bounded_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace softmoe {
namespace {

/// The depth and the number of keys of a text, if it is JSON.
struct JsonExtent {
  int64_t depth = 0;
  int64_t keys = 0;
};

JsonExtent measure(std::string_view text) {
  JsonExtent extent;
  int64_t depth = 0;
  bool in_string = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      at += c == '\\' ? 1 : 0;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      extent.depth = std::max(extent.depth, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ':') {
      ++extent.keys;
    }
  }
  return extent;
}

template <typename Kind>
Kind parse(std::string_view text, const std::string& where, int64_t key_limit) {
  const JsonExtent extent = measure(text);
  if (extent.depth > kJsonDepthLimit) {
    throw InputError(where, fmt::format("JSON of at most {} levels", kJsonDepthLimit),
                     std::to_string(extent.depth));
  }
  if (extent.keys > key_limit) {
    throw InputError(where, fmt::format("JSON of at most {} keys", key_limit),
                     std::to_string(extent.keys));
  }
  auto value = Kind::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    throw InputError(where, "JSON", "something else");
  }
  return value;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  return parse<Json>(text, where, kJsonKeyLimit);
}

Json parse_sorted_json(std::string_view text, const std::string& where) {
  return Json(parse<nlohmann::json>(text, where, std::numeric_limits<int64_t>::max()));
}

}  // namespace softmoe
