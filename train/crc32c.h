#pragma once
/// The checksum of TensorFlow's record files.

#include <cstdint>
#include <string_view>

namespace softmoe {

/// CRC-32C (Castagnoli) of `bytes`. Source: RFC 3720, appendix B.4.
uint32_t crc32c(std::string_view bytes);

/// The checksum as record files store it, rotated and shifted so that a checksum of bytes that
/// contain checksums stays a good one.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace softmoe
