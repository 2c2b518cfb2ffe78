#pragma once
/// Numbers of things in messages.

#include <cstdint>
#include <string>
#include <string_view>

namespace softmoe {

/// "1 image", "2 images"; `plural` is the plural of `singular` if that is not formed by adding "s".
inline std::string pluralize(int64_t count, std::string_view singular,
                             std::string_view plural = {}) {
  const auto number = std::to_string(count) + " ";
  if (count == 1) {
    return number + std::string(singular);
  }
  return number + (plural.empty() ? std::string(singular) + "s" : std::string(plural));
}

}  // namespace softmoe
