#pragma once
/// Zip archives from outside, read into memory and never unpacked to a disk: names of members are
/// names and no paths, and no length is believed before the file confirms it.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace softmoe {

/// Where a member lies; lengths as the archive's directory claims them.
struct ZipMember {
  uint64_t index = 0;
  int64_t bytes = 0;
  int64_t packed_bytes = 0;
  bool is_stored = false;  ///< as it is, not compressed
};

/// The data of one member, from its first byte to its last.
class ZipStream {
 public:
  ZipStream(ZipStream&& other) noexcept;
  ZipStream& operator=(ZipStream&&) = delete;
  ~ZipStream();

  /// The next `bytes` bytes; throws InputError where there are fewer.
  void read(void* data, int64_t bytes);
  /// Throws InputError unless all has been read and the checksum of the archive is right.
  void expect_end();

 private:
  friend class ZipReader;
  struct State;
  explicit ZipStream(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

/// What errors call an archive and its members, and which members count.
struct ZipWords {
  std::string archive = "a zip archive";  ///< "an .npz file"
  std::string member = "member";          ///< "array"
  std::string_view suffix = {};           ///< members without it are left out; cut off the names
};

/// An open archive. Its members' lengths together are no more than any honest archive of that file
/// length can hold, and no two members have one name.
class ZipReader {
 public:
  /// Throws InputError that names the file: not there, no archive, damaged, a zip bomb.
  ZipReader(const std::filesystem::path& path, ZipWords words);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const std::filesystem::path& path() const;
  const std::map<std::string, ZipMember>& members() const;
  /// "a.npz: array 'x'", for errors.
  std::string place(const std::string& name) const;
  /// Opens a member of members().
  ZipStream open(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace softmoe
