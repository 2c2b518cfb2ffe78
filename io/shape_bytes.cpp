#include "io/shape_bytes.h"

#include <algorithm>

namespace softmoe {

std::optional<int64_t> shape_bytes(std::span<const int64_t> shape, int64_t item_bytes) {
  int64_t bytes = item_bytes;
  bool is_empty = false;
  for (const int64_t size : shape) {
    is_empty = is_empty || size == 0;
    if (size < 0 || __builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) {
      return std::nullopt;
    }
  }
  return is_empty ? 0 : bytes;
}

}  // namespace softmoe
