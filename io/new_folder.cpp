#include "io/new_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_cannot_make(const fs::path& path, const std::string& why) {
  throw InputError("cannot make the folder " + path.string() + ": " + why);
}

}  // namespace

bool NewFolder::make(const fs::path& path) {
  const auto parent = path.parent_path();
  std::error_code error;
  if (!parent.empty() && parent != path && !fs::exists(parent, error)) {
    make(parent);
  }
  const bool is_new = fs::create_directory(path, error);
  if (is_new) {
    made_.push_back(path);
  } else if (error || !fs::is_directory(path)) {
    throw_cannot_make(path, error ? system_error_text(error.value()) : "a file is in its place");
  }
  return is_new;
}

NewFolder::NewFolder(const fs::path& path) : path_(path) {
  make(path_.has_filename() ? path_ : path_.parent_path());
  if (::access(path_.c_str(), W_OK | X_OK) != 0) {
    throw InputError("cannot write in the folder " + path_.string() + ": " +
                     system_error_text(errno));
  }
}

NewFolder NewFolder::numbered(const fs::path& path) {
  NewFolder folder;
  folder.path_ = path;
  for (int number = 2; !folder.make(folder.path_); ++number) {
    folder.path_ = fmt::format("{}-{}", path.string(), number);
  }
  return folder;
}

NewFolder::~NewFolder() {
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) {
    ::rmdir(folder->c_str());  // fails if something is in it
  }
}

}  // namespace softmoe
