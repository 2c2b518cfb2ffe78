#pragma once
/// JSON values and texts that are valid in them.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace softmoe {

/// Keeps the order in which keys are added, so that files read as they were described.
using Json = nlohmann::ordered_json;

/// `value` as text, on one line or indented by `indent` blanks. Bytes of its texts that are not
/// UTF-8, as the name of a file may have them, become U+FFFD.
std::string json_text(const Json& value, int indent = -1);

/// `text` with U+FFFD for what is not UTF-8 in it.
std::string valid_utf8(const std::string& text);

}  // namespace softmoe
