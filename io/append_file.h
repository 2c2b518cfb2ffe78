#pragma once
/// A file that only grows, in whole records.

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace softmoe {

/// An open file with an end to append to. Failures are InputErrors that name the file.
class AppendFile {
 public:
  /// Opens `path`, which is made if it does not exist, and cuts it to its first `keep` bytes.
  AppendFile(const std::filesystem::path& path, int64_t keep);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  /// Appends all of `bytes`, or nothing if the disk is full. Readers see them at once.
  void append(std::string_view bytes);
  /// Cuts the file to its first `keep` bytes, at most size().
  void cut(int64_t keep);
  /// Returns when all is on the disk.
  void sync();

  int64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  int64_t size_ = 0;
};

}  // namespace softmoe
