#pragma once
/// A lock of a folder: one process writes to it.

#include <filesystem>

namespace softmoe {

/// Holds a folder for this process until it is destroyed; the system frees the folder if the
/// process dies.
class FolderLock {
 public:
  /// Throws InputError if another process holds `folder`. On file systems without locks nothing is
  /// held.
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  int file_ = -1;
};

}  // namespace softmoe
