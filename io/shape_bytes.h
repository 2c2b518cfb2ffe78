#pragma once
/// Sizes of arrays whose shapes come from outside.

#include <cstdint>
#include <optional>
#include <span>

namespace softmoe {

/// Max axes of a tensor in a file, as in libtorch.
inline constexpr size_t kMaxAxes = 64;

/// Bytes of an array of `shape` with `item_bytes` bytes per element. Nothing if a size is negative,
/// or a partial product of sizes overflows: libtorch multiplies sizes in int64 too, even those of
/// an empty array.
std::optional<int64_t> shape_bytes(std::span<const int64_t> shape, int64_t item_bytes);

}  // namespace softmoe
