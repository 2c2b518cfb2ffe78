#pragma once
/// One writer a folder.

#include <filesystem>

namespace softmoe {

/// Holds a folder for this process while it exists; the system frees it when the process dies.
class FolderLock {
 public:
  /// Throws InputError where somebody else holds `folder`. File systems without locks grant all.
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  int file_ = -1;
};

}  // namespace softmoe
