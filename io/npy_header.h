#pragma once
/// The header in front of an array in NumPy's .npy format.
/// Source: numpy.lib.format, "Format Version 1.0" to "3.0".

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe {

/// What a header says of the data after it.
struct NpyHeader {
  torch::Dtype dtype = torch::kFloat32;
  bool fortran_order = false;  ///< the first axis varies fastest
  std::vector<int64_t> shape;
  int64_t header_bytes = 0;  ///< offset of the data
  int64_t data_bytes = 0;    ///< by dtype and shape
};

/// Longest header that is read, far above the need of any plain array.
inline constexpr int64_t kNpyHeaderLimit = 64 * 1024;
/// Bytes at the front of a file that npy_header_bytes() needs.
inline constexpr int64_t kNpyPrefixBytes = 12;

/// Length of the whole header, by its first kNpyPrefixBytes bytes. Errors begin with `where`.
int64_t npy_header_bytes(std::string_view prefix, const std::string& where);

/// Parses a whole header. Throws InputError for text that does not parse, for shapes whose size
/// overflows and for dtypes without a counterpart in libtorch (objects, text, big-endian).
NpyHeader parse_npy_header(std::string_view header, const std::string& where);

/// The header for an array in C order, padded so that the data is aligned to 64 bytes. bf16 becomes
/// raw 2-byte void.
std::string make_npy_header(torch::Dtype dtype, torch::IntArrayRef shape);

}  // namespace softmoe
