#pragma once
/// Numbers of things in messages.

#include <cstdint>
#include <string>
#include <string_view>

namespace softmoe {

/// "1 image", "2 images"; `many` is what several are called where that is not `one` with an s.
inline std::string counted(int64_t count, std::string_view one, std::string_view many = {}) {
  const bool is_one = count == 1;
  const bool is_irregular = !many.empty();
  return std::to_string(count) + " " + std::string(is_one || !is_irregular ? one : many) +
         (is_one || is_irregular ? "" : "s");
}

}  // namespace softmoe
