#include "datasets/sources/folder_walk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/lower_case.h"
#include "core/name_list.h"
#include "core/pluralize.h"
#include "core/unicode.h"
#include "datasets/formats/image_format.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// Names in a message.
constexpr size_t kShownNames = 3;

/// In lower case.
constexpr std::array kSystemFolders{"__macosx",   "$recycle.bin", "system volume information",
                                    "lost+found", "@eadir",       "#recycle",
                                    "__pycache__"};

bool is_system_folder(const std::string& name) {
  return std::find(kSystemFolders.begin(), kSystemFolders.end(), lower_case(name)) !=
         kSystemFolders.end();
}

/// Returns true if training wrote here (train/run_folder.h).
bool is_run(const fs::path& folder) {
  std::error_code none;
  return fs::exists(folder / "config.toml", none) &&
         (fs::exists(folder / "summary.csv", none) || fs::exists(folder / "last.h5", none));
}

bool is_folder(const fs::directory_entry& entry) {
  std::error_code none;  // of links that lead nowhere, or in circles
  return entry.is_directory(none);
}

/// Returns true for a link to what is not there, as of a file that was not fetched or has moved.
bool leads_nowhere(const fs::directory_entry& entry) {
  std::error_code none;
  return entry.is_symlink(none) && !fs::exists(entry.path(), none);
}

bool is_image(const fs::directory_entry& entry) {
  std::error_code none;
  return entry.is_regular_file(none) && is_image_name(entry.path());
}

/// What is in `folder`, in the order of the names.
std::vector<fs::directory_entry> sorted_entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> found;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    found.push_back(*at);
  }
  if (error) {
    throw InputError(folder.string() + ": cannot be read: " + error.message());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// What a folder's name is without links; the name itself if there is no such folder.
std::string real_path(const fs::path& folder) {
  std::error_code error;
  const auto path = fs::canonical(folder, error);
  return error ? folder.string() : path.string();
}

/// Returns true if `link` is a link to `folder` or to a folder above it.
bool leads_above(const fs::path& link, const fs::path& folder) {
  std::error_code none;
  return fs::is_symlink(link, none) && (real_path(folder) + "/").starts_with(real_path(link) + "/");
}

}  // namespace

std::string LeftOut::text() const {
  std::vector<std::string> parts;
  if (other_files > 0) {
    parts.push_back(pluralize(other_files, "file that is no image", "files that are no images"));
  }
  if (unread_images > 0) {
    parts.push_back(pluralize(unread_images, "image") + " of formats that are not read (" +
                    name_list({unread_extensions.begin(), unread_extensions.end()}, kShownNames) +
                    ")");
  }
  if (hidden > 0) {
    parts.push_back(pluralize(hidden, "hidden or system entry", "hidden or system entries"));
  }
  if (!runs.empty()) {
    parts.push_back("training runs " + name_list(runs, kShownNames));
  }
  if (!links.empty()) {
    parts.push_back("links to folders that are here already " + name_list(links, kShownNames));
  }
  if (!dead_links.empty()) {
    parts.push_back(fmt::format(
        "{} nowhere ({})", pluralize(std::ssize(dead_links), "link that leads", "links that lead"),
        name_list(dead_links, kShownNames)));
  }
  return parts.empty() ? "" : fmt::format("left out: {}", fmt::join(parts, ", "));
}

std::vector<fs::directory_entry> FolderWalk::entries(const fs::path& folder) {
  std::vector<fs::directory_entry> taken;
  for (const auto& entry : sorted_entries(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || is_system_folder(name)) {
      ++left_out_.hidden;
    } else if (is_folder(entry) && is_run(entry.path())) {
      left_out_.runs.push_back(entry.path().string());
    } else if (is_folder(entry) && leads_above(entry.path(), folder)) {
      left_out_.links.push_back(entry.path().string());
    } else if (leads_nowhere(entry)) {
      left_out_.dead_links.push_back(entry.path().string());
    } else {
      taken.push_back(entry);
    }
  }
  return taken;
}

void FolderWalk::reserve(const fs::path& folder) { reserved_.insert(real_path(folder)); }

std::multimap<std::string, fs::path> FolderWalk::subfolders(const fs::path& folder) {
  std::multimap<std::string, fs::path> found;
  for (const auto& entry : entries(folder)) {
    if (is_folder(entry)) {
      found.emplace(escaped_name(entry.path().filename().string()), entry.path());
    }
  }
  return found;
}

void FolderWalk::visit_images(const fs::path& folder,
                              const std::function<bool(const fs::path&)>& visit) {
  std::vector<fs::path> waiting = {folder};
  while (!waiting.empty()) {
    const auto next = std::move(waiting.back());
    waiting.pop_back();
    const auto real = real_path(next);
    const bool is_of_other = next != folder && reserved_.contains(real);
    if (is_of_other || !visited_.insert(real).second) {
      left_out_.links.push_back(next.string());
      continue;
    }
    for (const auto& entry : entries(next)) {
      if (is_folder(entry)) {
        // Links wait longest, so that a folder is found under its own name.
        waiting.insert(entry.is_symlink() ? waiting.begin() : waiting.end(), entry.path());
      } else if (is_unread_image_name(entry.path())) {
        ++left_out_.unread_images;
        left_out_.unread_extensions.insert(lower_case(entry.path().extension().string()));
      } else if (!is_image(entry)) {
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

int64_t FolderWalk::count_own_images(const fs::path& folder) {
  const auto found = entries(folder);
  return std::count_if(found.begin(), found.end(), is_image);
}

}  // namespace softmoe
