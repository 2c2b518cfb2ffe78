#pragma once
/// Files that may be gzipped.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

struct gzFile_s;

namespace softmoe {

/// Reads a file, unpacked if it is gzipped. What a member throws is an InputError that names it.
class GzipFile {
 public:
  explicit GzipFile(const std::filesystem::path& path);
  ~GzipFile();
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  /// Reads up to `count` bytes; fewer only at the end of the file.
  size_t read(void* target, size_t count);

  /// Returns true if nothing is left; finds a broken gzip trailer, too.
  bool at_end();

 private:
  void check();

  std::filesystem::path path_;
  gzFile_s* file_;
};

}  // namespace softmoe
