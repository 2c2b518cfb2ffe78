#pragma once
/// A file that is read at places.

#include <cstdint>
#include <filesystem>

namespace softmoe {

/// An open file of which any bytes can be read, by several threads at once. Failures of the system
/// are InputErrors that name the file.
class RangeFile {
 public:
  explicit RangeFile(const std::filesystem::path& path);
  ~RangeFile();
  RangeFile(const RangeFile&) = delete;
  RangeFile& operator=(const RangeFile&) = delete;

  /// Reads the bytes [offset, offset + size) to `data`. Returns false if the file ends before.
  bool read(int64_t offset, void* data, int64_t size) const;

 private:
  std::filesystem::path path_;
  int file_;
};

}  // namespace softmoe
