#pragma once
/// Names of files that hold a number.

#include <cstdint>
#include <optional>
#include <string_view>

namespace softmoe {

/// The number between `prefix` and `suffix` in `name`; nothing for other names.
std::optional<int64_t> number_in_name(std::string_view name, std::string_view prefix,
                                      std::string_view suffix);

}  // namespace softmoe
