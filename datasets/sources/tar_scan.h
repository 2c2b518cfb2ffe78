#pragma once
/// The members of a tar file and where their bytes lie, by libarchive.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace softmoe {

/// An ordinary file in a tar file.
struct TarMember {
  std::string name;
  int64_t offset = 0;  ///< of its first byte in the tar file
  int64_t size = 0;
};

/// Goes through an uncompressed tar file (ustar, pax, GNU) from header to header; the bytes of the
/// members between are not read.
class TarScan {
 public:
  /// Throws InputError that names the file if it cannot be read or is compressed.
  explicit TarScan(const std::filesystem::path& path);
  ~TarScan();
  TarScan(const TarScan&) = delete;
  TarScan& operator=(const TarScan&) = delete;

  /// The next ordinary file; std::nullopt at the end. Throws InputError that names the file for a
  /// damaged or truncated one.
  std::optional<TarMember> next();

  /// The bytes of the member that next() returned, which may be read once. Throws InputError if it
  /// has more than `max_bytes`.
  std::string read(int64_t max_bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The name of the compression of a file, such as "gzip"; "" if its first bytes are of none.
std::string compression_of(const std::filesystem::path& path);

}  // namespace softmoe
