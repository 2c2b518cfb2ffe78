#include "datasets/sources/image_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <ranges>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "datasets/sources/image_files.h"
#include "datasets/splits.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// Subfolders by name, without hidden ones.
std::map<std::string, fs::path> subfolders(const fs::path& folder) {
  std::map<std::string, fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !name.starts_with('.')) {
      found.emplace(name, entry.path());
    }
  }
  return found;
}

/// The name of the subfolder for `split`: that name, else one of the same kind.
std::string split_folder(const std::map<std::string, fs::path>& folders, const std::string& split) {
  if (folders.contains(split)) {
    return split;
  }
  const auto kind = split_kind(split);
  // "val" before "test": if both exist, the test images are not for choosing models.
  for (const char* name : {"train", "training", "val", "valid", "validation", "test", "eval"}) {
    if (kind && folders.contains(name) && split_kind(name) == kind) {
      return name;
    }
  }
  return "";
}

bool has_split_folders(const std::map<std::string, fs::path>& folders) {
  return std::any_of(folders.begin(), folders.end(), [](const auto& entry) {
    return split_kind(entry.first).has_value() && entry.first != "all" &&
           !subfolders(entry.second).empty();
  });
}

/// Images of the class folders in `parts`, labelled by the order of `classes`.
std::unique_ptr<Dataset> collect(const std::vector<fs::path>& parts,
                                 const std::set<std::string>& classes, const fs::path& root) {
  std::vector<std::pair<fs::path, int64_t>> files;
  int64_t others = 0;
  for (const auto& part : parts) {
    const auto folders = subfolders(part);
    int64_t label = 0;
    for (const auto& name : classes) {
      if (const auto folder = folders.find(name); folder != folders.end()) {
        for (auto& image : find_images(folder->second, &others)) {
          files.emplace_back(std::move(image), label);
        }
      }
      ++label;
    }
  }
  if (others > 0) {
    log_line(fmt::format("{}: left out {} files that are no images", root.string(), others));
  }
  if (files.empty()) {
    throw InputError(root.string(), "folders of images, one per class", "no image files");
  }
  return std::make_unique<ImageFiles>(std::move(files),
                                      std::vector<std::string>(classes.begin(), classes.end()));
}

std::unique_ptr<Dataset> open_without_splits(const fs::path& root, const std::string& split,
                                             const std::map<std::string, fs::path>& folders) {
  const auto kind = split_kind(split);
  if (!kind) {
    throw UsageError(root.string() + ": split", "train, val or all, as there is no such subfolder",
                     "'" + split + "'");
  }
  std::set<std::string> classes;
  for (const auto& [name, path] : folders) {
    classes.insert(name);
  }
  return hold_out(collect({root}, classes, root), *kind);
}

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const fs::path& root, const std::string& split) {
  if (!fs::is_directory(root)) {
    throw InputError(root.string(), "a folder of class folders",
                     fs::exists(root) ? "a file" : "no such folder");
  }
  const auto folders = subfolders(root);
  if (!has_split_folders(folders) && !(folders.contains(split) && !split_kind(split))) {
    return open_without_splits(root, split, folders);
  }
  const bool all = split == "all" && !folders.contains(split);
  const std::string chosen = split_folder(folders, split);
  if (!all && chosen.empty()) {
    throw InputError(root.string(), "a subfolder for split '" + split + "'",
                     fmt::format("{}", fmt::join(std::views::keys(folders), ", ")));
  }
  std::set<std::string> classes;
  std::vector<fs::path> parts;
  for (const auto& [name, path] : folders) {
    if (name == chosen || split_kind(name)) {
      for (const auto& [class_name, class_folder] : subfolders(path)) {
        classes.insert(class_name);
      }
      if (all || name == chosen) {
        parts.push_back(path);
      }
    }
  }
  return collect(parts, classes, root / chosen);
}

}  // namespace softmoe
