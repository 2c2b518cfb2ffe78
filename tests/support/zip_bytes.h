#pragma once
/// Zip archives byte by byte, valid or not.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace softmoe::test {

/// The number as `bytes` little-endian bytes.
inline std::string little_endian(uint64_t value, size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes && i < sizeof(value); ++i) {
    text[i] = static_cast<char>(value >> (8 * i));
  }
  return text;
}

/// The checksum of zip archives.
inline uint32_t crc32_of(std::string_view data) {
  uint32_t crc = ~0U;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
    }
  }
  return ~crc;
}

/// An archive of members that are stored without compression, with names and order as given.
inline std::string zip_bytes(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string archive;
  std::string directory;
  for (const auto& [name, data] : members) {
    // Version, flags, method, time, 1 January 1980, checksum, both lengths, name, no extra field.
    const std::string facts = little_endian(20, 2) + little_endian(0, 6) + little_endian(33, 2) +
                              little_endian(crc32_of(data), 4) + little_endian(data.size(), 4) +
                              little_endian(data.size(), 4) + little_endian(name.size(), 2) +
                              little_endian(0, 2);
    directory += "PK\x01\x02" + little_endian(20, 2) + facts + little_endian(0, 10) +
                 little_endian(archive.size(), 4) + name;
    archive += "PK\x03\x04" + facts + name + data;
  }
  const auto begin = archive.size();
  return archive + directory + "PK\x05\x06" + little_endian(0, 4) +
         little_endian(members.size(), 2) + little_endian(members.size(), 2) +
         little_endian(directory.size(), 4) + little_endian(begin, 4) + little_endian(0, 2);
}

}  // namespace softmoe::test
