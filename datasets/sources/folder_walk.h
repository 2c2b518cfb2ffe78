#pragma once
/// Which entries of folders of images count. Left out at every depth: entries whose names begin
/// with a dot, folders that systems make (__MACOSX, lost+found, ...), folders of training runs,
/// files that are no images, and images of formats that are not read. No link to a folder above is
/// followed, and no folder is visited twice.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace softmoe {

/// What a walk did not take.
struct LeftOut {
  int64_t other_files = 0;    ///< that are no images
  int64_t unread_images = 0;  ///< of formats that are not read
  std::set<std::string> unread_extensions;
  int64_t hidden = 0;  ///< names that begin with a dot, and folders of systems
  std::vector<std::string> runs;
  std::vector<std::string> links;       ///< to a folder above, or to one that was visited before
  std::vector<std::string> dead_links;  ///< to what is not there

  /// "left out: 3 files that are no images, ...", or "" if nothing was left out.
  std::string text() const;
};

/// Walks through folders, and counts what it leaves out.
class FolderWalk {
 public:
  /// Keeps `folder` for a call of images() with it: other calls leave out links to it.
  void reserve(const std::filesystem::path& folder);
  /// Subfolders by escaped_name(), without links to folders above; folders whose names differ in
  /// their Unicode form alone have one name. Throws InputError if the folder cannot be read.
  std::multimap<std::string, std::filesystem::path> subfolders(const std::filesystem::path& folder);
  /// The image files below `folder` at any depth, in the order of their paths, but not those that
  /// an earlier call has visited. Throws InputError for a folder that cannot be read.
  std::vector<std::filesystem::path> images(const std::filesystem::path& folder);
  /// Returns true if images() would not be empty.
  bool has_image(const std::filesystem::path& folder);
  /// The number of image files in `folder` itself, not below it.
  int64_t count_own_images(const std::filesystem::path& folder);

  const LeftOut& left_out() const { return left_out_; }

 private:
  /// Folders and files of `folder` that count, in the order of their names.
  std::vector<std::filesystem::directory_entry> entries(const std::filesystem::path& folder);
  /// Calls visit(path) for the image files below `folder` until it returns false.
  void visit_images(const std::filesystem::path& folder,
                    const std::function<bool(const std::filesystem::path&)>& visit);

  LeftOut left_out_;
  std::set<std::string> reserved_;
  std::set<std::string> visited_;
};

}  // namespace softmoe
