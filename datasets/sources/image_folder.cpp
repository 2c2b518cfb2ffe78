#include "datasets/sources/image_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <ranges>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "core/lower_case.h"
#include "core/name_list.h"
#include "core/pluralize.h"
#include "datasets/sources/folder_walk.h"
#include "datasets/sources/image_files.h"
#include "datasets/splits.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using Folders = std::map<std::string, fs::path>;

/// Some of the keys of `map`, for messages.
template <typename Map>
std::string names_of(const Map& map) {
  const auto names = std::views::keys(map);
  return name_list({names.begin(), names.end()});
}

/// A folder that holds the class folders of a split.
struct SplitFolder {
  std::string name;
  std::optional<SplitKind> kind;
  Folders classes;
};

/// Returns true if `name` is a common one of a split, but not of all.
bool names_a_split(const std::string& name) {
  const auto kind = split_kind(name);
  return kind && kind != SplitKind::kAll;
}

/// The folders of `root` that splits are named after.
std::vector<SplitFolder> split_folders(FolderWalk& walk, const Folders& folders,
                                       const std::string& split) {
  std::vector<SplitFolder> found;
  for (const auto& [name, path] : folders) {
    if (names_a_split(name) || (name == split && !split_kind(split))) {
      if (auto classes = walk.subfolders(path); !classes.empty()) {
        found.push_back({name, split_kind(name), std::move(classes)});
      }
    }
  }
  return found;
}

/// Throws InputError if the folders of `parent` are not classes but hold classes or splits: none
/// has images of its own, and their subfolders with images have several names that occur in several
/// of them, or are named as splits or as the folder itself; or there is one folder with several
/// such subfolders.
void check_level(const fs::path& parent, const Folders& classes) {
  FolderWalk walk;
  std::map<std::string, int64_t> holders;  // of each name one level below
  bool repeats = false;
  for (const auto& [name, folder] : classes) {
    if (walk.count_own_images(folder) > 0) {
      return;
    }
    for (const auto& [below, path] : walk.subfolders(folder)) {
      if (walk.has_image(path)) {
        ++holders[below];
        repeats |= below == name || split_kind(below).has_value();
      }
    }
  }
  const bool is_shared =
      holders.size() > 1 && std::any_of(holders.begin(), holders.end(),
                                        [](const auto& holder) { return holder.second > 1; });
  if (is_shared || repeats || (classes.size() == 1 && holders.size() > 1)) {
    throw InputError(
        parent.string(), "class folders that hold images",
        fmt::format("{} without images of {} own, but with folders {} in {}: give the folder above "
                    "the class folders, or name splits train, val and test",
                    names_of(classes), classes.size() == 1 ? "its" : "their", names_of(holders),
                    classes.size() == 1 ? "it" : "them"));
  }
}

/// The class folders of `parts`: folders first, then links, so that a folder that is reached twice
/// is found under its own name.
std::vector<std::pair<std::string, fs::path>> class_folders(
    FolderWalk& walk, const std::vector<const SplitFolder*>& parts) {
  std::vector<std::pair<std::string, fs::path>> found;
  for (const auto* part : parts) {
    for (const auto& [name, folder] : part->classes) {
      walk.reserve(folder);
      found.emplace_back(name, folder);
    }
  }
  std::stable_partition(found.begin(), found.end(),
                        [](const auto& item) { return !fs::is_symlink(item.second); });
  return found;
}

/// The names of those classes that have an image in one of `parts`.
std::set<std::string> classes_with_images(const std::vector<const SplitFolder*>& parts) {
  FolderWalk walk;
  std::set<std::string> found;
  for (const auto& [name, folder] : class_folders(walk, parts)) {
    if (!found.contains(name) && walk.has_image(folder)) {
      found.insert(name);
    }
  }
  return found;
}

/// The images of the class folders in `parts` whose classes are in `classes`, labelled by the order
/// of those, in the order of parts and paths. Says in one line what was taken and what was not;
/// `name` is that of the whole, `notes` what else there is to say.
std::unique_ptr<Dataset> collect(FolderWalk& walk, const std::vector<const SplitFolder*>& parts,
                                 const std::set<std::string>& classes, const std::string& name,
                                 std::vector<std::string> notes) {
  std::vector<std::pair<fs::path, int64_t>> files;
  std::set<std::string> untrained;
  for (const auto* part : parts) {
    const auto first = std::ssize(files);
    for (const auto& [class_name, folder] : class_folders(walk, {part})) {
      const auto place = classes.find(class_name);
      if (place == classes.end()) {
        untrained.insert(class_name);
        walk.images(folder);  // counts what is left out, such as formats that are not read
        continue;
      }
      const auto label = std::distance(classes.begin(), place);
      for (auto& image : walk.images(folder)) {
        files.emplace_back(std::move(image), label);
      }
    }
    std::stable_sort(files.begin() + first, files.end(),
                     [](const auto& a, const auto& b) { return a.second < b.second; });
  }
  if (!untrained.empty()) {
    notes.push_back("no class, for want of images to train on: " +
                    name_list({untrained.begin(), untrained.end()}));
  }
  if (const auto left_out = walk.left_out().text(); !left_out.empty()) {
    notes.push_back(left_out);
  }
  if (files.empty()) {
    throw InputError(name, "folders of images, one per class",
                     notes.empty() ? "no image files"
                                   : fmt::format("no image files ({})", fmt::join(notes, "; ")));
  }
  notes.insert(notes.begin(), fmt::format("{} of {}", pluralize(std::ssize(files), "image"),
                                          pluralize(std::ssize(classes), "class", "classes")));
  log_line(fmt::format("{}: {}", printable_text(name), fmt::join(notes, "; ")));
  return std::make_unique<ImageFiles>(std::move(files),
                                      std::vector<std::string>(classes.begin(), classes.end()));
}

/// What is said of images beside class folders.
std::vector<std::string> stray_note(const fs::path& folder) {
  const int64_t own = FolderWalk().count_own_images(folder);
  return own == 0 ? std::vector<std::string>{}
                  : std::vector{pluralize(own, "image") + " beside the class folders left out"};
}

InputError no_class_folders(const fs::path& folder) {
  const int64_t own = FolderWalk().count_own_images(folder);
  return InputError(folder.string(), "class folders, each with the images of one class",
                    own == 0 ? "no image files" : pluralize(own, "image") + " and no folders");
}

/// A root whose subfolders are the classes.
std::unique_ptr<Dataset> open_without_splits(FolderWalk& walk, const fs::path& root,
                                             const std::string& split, Folders folders) {
  const auto kind = split_kind(split);
  if (!kind) {
    throw UsageError(root.string() + ": split", "train, val or all, as there is no such subfolder",
                     "'" + split + "'");
  }
  if (folders.empty()) {
    throw no_class_folders(root);
  }
  for (const auto& [name, folder] : folders) {
    if (split_kind(name) == SplitKind::kTrain && walk.count_own_images(folder) > 0) {
      throw no_class_folders(folder);
    }
  }
  check_level(root, folders);
  const SplitFolder whole{"", std::nullopt, std::move(folders)};
  return hold_out(
      collect(walk, {&whole}, classes_with_images({&whole}), root.string(), stray_note(root)),
      *kind);
}

/// What is said of folders that are named as splits, but hold no class folders.
std::vector<std::string> notes_of_splits(const Folders& folders) {
  std::vector<std::string> notes;
  for (const auto& [name, folder] : folders) {
    if (names_a_split(name) && FolderWalk().subfolders(folder).empty()) {
      notes.push_back(printable_text(name) + " left out, which has no class folders");
    }
  }
  return notes;
}

/// The part for `split`: the folder of that name, else the first one of the same kind.
const SplitFolder* part_of(const std::vector<SplitFolder>& parts, const std::string& split) {
  const auto named = [&](const std::string& name) {
    auto at = std::find_if(parts.begin(), parts.end(),
                           [&](const SplitFolder& part) { return part.name == name; });
    if (at == parts.end()) {
      at = std::find_if(parts.begin(), parts.end(),
                        [&](const SplitFolder& part) { return lower_case(part.name) == name; });
    }
    return at == parts.end() ? nullptr : &*at;
  };
  if (const auto* part = named(split)) {
    return part;
  }
  const auto kind = split_kind(split);
  for (const auto& name : split_names()) {
    const auto* part = kind == name.kind ? named(name.text) : nullptr;
    if (part != nullptr) {
      return part;
    }
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const fs::path& root, const std::string& split) {
  if (!fs::is_directory(root)) {
    throw InputError(root.string(), "a folder of class folders",
                     fs::exists(root) ? "a file" : "no such folder");
  }
  FolderWalk walk;
  auto folders = walk.subfolders(root);
  const auto parts = split_folders(walk, folders, split);
  if (parts.empty()) {
    return open_without_splits(walk, root, split, std::move(folders));
  }
  std::vector<const SplitFolder*> all;
  std::vector<const SplitFolder*> training;
  for (const auto& part : parts) {
    check_level(root / part.name, part.classes);
    all.push_back(&part);
    if (part.kind == SplitKind::kTrain || (!part.kind && part.name == split)) {
      training.push_back(&part);
    }
  }
  const auto kind = split_kind(split);
  const auto classes = classes_with_images(training.empty() ? all : training);
  auto notes = notes_of_splits(folders);
  if (kind == SplitKind::kAll) {
    return collect(walk, all, classes, root.string(), std::move(notes));
  }
  const auto* part = part_of(parts, split);
  if (part == nullptr && kind == SplitKind::kVal) {  // train alone
    part = part_of(parts, "train");
  }
  if (part == nullptr) {
    for (const auto& [name, folder] : folders) {
      if (kind && split_kind(name) == kind) {
        throw no_class_folders(folder);
      }
    }
    throw InputError(root.string(), "a subfolder for split '" + split + "'", names_of(folders));
  }
  const auto strays = stray_note(root / part->name);
  notes.insert(notes.end(), strays.begin(), strays.end());
  auto set = collect(walk, {part}, classes, (root / part->name).string(), std::move(notes));
  return kind && part->kind == SplitKind::kTrain && part_of(parts, "val") == nullptr
             ? hold_out(std::move(set), *kind)
             : std::move(set);
}

}  // namespace softmoe
