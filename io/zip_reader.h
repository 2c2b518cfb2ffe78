#pragma once
/// Zip archives from outside, read into memory and never unpacked to a disk: names of members are
/// never used as paths, and a claimed length is used only after the file confirms it.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace softmoe {

/// The place of a member, and its lengths as the archive's directory claims them.
struct ZipMember {
  uint64_t index = 0;
  int64_t bytes = 0;
  int64_t packed_bytes = 0;
  bool is_stored = false;  ///< not compressed
};

/// The data of one member, from its first byte to its last.
class ZipStream {
 public:
  ZipStream(ZipStream&& other) noexcept;
  ZipStream& operator=(ZipStream&&) = delete;
  ~ZipStream();

  /// The next `bytes` bytes; throws InputError if there are fewer.
  void read(void* data, int64_t bytes);
  /// Throws InputError unless all has been read and the checksum of the archive is right.
  void expect_end();

 private:
  friend class ZipReader;
  struct State;
  explicit ZipStream(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

/// The words of errors for an archive and its members, and which members are listed.
struct ZipWords {
  std::string archive = "a zip archive";  ///< "an .npz file"
  std::string member = "member";          ///< "array"
  std::string_view suffix = {};  ///< members without it are left out; it is cut off their names
};

/// An open archive. The lengths of its members together are at most what an archive of that file
/// length can hold, and names of members are unique.
class ZipReader {
 public:
  /// Throws InputError that names the file if it is missing, no archive, damaged or a zip bomb.
  ZipReader(const std::filesystem::path& path, ZipWords words);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const std::filesystem::path& path() const;
  const std::map<std::string, ZipMember>& members() const;
  /// The text that stands beside the members; empty if there is none.
  std::string comment() const;
  /// "a.npz: array 'x'", for errors.
  std::string place(const std::string& name) const;
  /// Opens a member of members().
  ZipStream open(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace softmoe
