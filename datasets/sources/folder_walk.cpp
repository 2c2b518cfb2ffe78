#include "datasets/sources/folder_walk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/error.h"
#include "core/pluralize.h"
#include "datasets/image_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSystemFolders{"__MACOSX",   "$RECYCLE.BIN", "System Volume Information",
                                    "lost+found", "@eaDir",       "#recycle",
                                    "__pycache__"};

bool is_system_folder(const std::string& name) {
  return std::find(kSystemFolders.begin(), kSystemFolders.end(), name) != kSystemFolders.end();
}

/// Whether training wrote here (train/run_folder.h).
bool is_run(const fs::path& folder) {
  std::error_code none;
  return fs::exists(folder / "config.toml", none) &&
         (fs::exists(folder / "summary.csv", none) || fs::exists(folder / "last.h5", none));
}

bool is_folder(const fs::directory_entry& entry) {
  std::error_code none;  // of links that lead nowhere, or in circles
  return entry.is_directory(none);
}

/// Calls visit(entry) for what is in `folder`, in the order of the names, until it returns false.
void for_each_entry(const fs::path& folder,
                    const std::function<bool(const fs::directory_entry&)>& visit) {
  std::error_code error;
  std::vector<fs::directory_entry> found;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    found.push_back(*at);
  }
  if (error) {
    throw InputError(folder.string() + ": cannot be read: " + error.message());
  }
  std::sort(found.begin(), found.end());
  std::all_of(found.begin(), found.end(), visit);
}

/// What a folder's name is without links; the name itself if there is no such folder.
std::string real_path(const fs::path& folder) {
  std::error_code error;
  const auto path = fs::canonical(folder, error);
  return error ? folder.string() : path.string();
}

}  // namespace

std::string LeftOut::text() const {
  std::vector<std::string> parts;
  if (other_files > 0) {
    parts.push_back(pluralize(other_files, "file that is no image", "files that are no images"));
  }
  if (hidden > 0) {
    parts.push_back(pluralize(hidden, "hidden or system entry", "hidden or system entries"));
  }
  if (!runs.empty()) {
    parts.push_back(fmt::format("training runs {}", fmt::join(runs, ", ")));
  }
  if (!cycles.empty()) {
    parts.push_back(fmt::format("links back {}", fmt::join(cycles, ", ")));
  }
  return parts.empty() ? "" : fmt::format("left out: {}", fmt::join(parts, ", "));
}

std::vector<fs::directory_entry> FolderWalk::entries(const fs::path& folder) {
  std::vector<fs::directory_entry> taken;
  for_each_entry(folder, [&](const fs::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || is_system_folder(name)) {
      ++left_out_.hidden;
    } else if (is_folder(entry) && is_run(entry.path())) {
      left_out_.runs.push_back(printable_text(entry.path().string()));
    } else {
      taken.push_back(entry);
    }
    return true;
  });
  return taken;
}

std::map<std::string, fs::path> FolderWalk::subfolders(const fs::path& folder) {
  std::map<std::string, fs::path> found;
  for (const auto& entry : entries(folder)) {
    if (is_folder(entry)) {
      found.emplace(entry.path().filename().string(), entry.path());
    }
  }
  return found;
}

void FolderWalk::visit_images(const fs::path& folder,
                              const std::function<bool(const fs::path&)>& visit) {
  std::set<std::string> visited = {real_path(folder)};
  std::vector<fs::path> waiting = {folder};
  while (!waiting.empty()) {
    const auto next = std::move(waiting.back());
    waiting.pop_back();
    for (const auto& entry : entries(next)) {
      if (is_folder(entry)) {
        if (visited.insert(real_path(entry.path())).second) {
          waiting.push_back(entry.path());
        } else {
          left_out_.cycles.push_back(printable_text(entry.path().string()));
        }
      } else if (!is_image_name(entry.path())) {
        ++left_out_.other_files;
      } else if (!visit(entry.path())) {
        return;
      }
    }
  }
}

std::vector<fs::path> FolderWalk::images(const fs::path& folder) {
  std::vector<fs::path> found;
  visit_images(folder, [&](const fs::path& image) {
    found.push_back(image);
    return true;
  });
  std::sort(found.begin(), found.end());
  return found;
}

bool FolderWalk::has_image(const fs::path& folder) {
  bool found = false;
  visit_images(folder, [&](const fs::path&) {
    found = true;
    return false;
  });
  return found;
}

int64_t count_own_images(const fs::path& folder) {
  int64_t count = 0;
  for_each_entry(folder, [&](const fs::directory_entry& entry) {
    const bool is_hidden = entry.path().filename().string().starts_with('.');
    count += !is_hidden && !is_folder(entry) && is_image_name(entry.path()) ? 1 : 0;
    return true;
  });
  return count;
}

}  // namespace softmoe
