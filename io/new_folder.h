#pragma once
/// Folders for results, made before the work begins whose results they are for.

#include <filesystem>
#include <vector>

namespace softmoe {

/// A folder that is made with its parents. Those that were made and are still empty when the object
/// ends are removed, so that work which is refused leaves nothing.
class NewFolder {
 public:
  /// Makes `path`, or takes the folder that is there. Throws InputError that names it if it cannot
  /// be made or nothing can be written in it.
  explicit NewFolder(const std::filesystem::path& path);
  /// Makes the first of "path", "path-2", "path-3", ... that does not exist, which no other process
  /// gets then. Throws InputError as above.
  static NewFolder numbered(const std::filesystem::path& path);

  NewFolder(NewFolder&& other) noexcept = default;
  NewFolder& operator=(NewFolder&&) = delete;
  ~NewFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  NewFolder() = default;
  /// Makes `path` and its parents; returns false if `path` was there already.
  bool make(const std::filesystem::path& path);

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // parents first
};

}  // namespace softmoe
