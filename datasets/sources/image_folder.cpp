#include "datasets/sources/image_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <ranges>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "core/name_list.h"
#include "core/pluralize.h"
#include "core/shell_word.h"
#include "core/unicode.h"
#include "datasets/sources/folder_walk.h"
#include "datasets/sources/image_files.h"
#include "datasets/sources/split_folders.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

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
        repeats |= below == name || names_a_split(below);
      }
    }
  }
  const bool is_shared =
      holders.size() > 1 && std::any_of(holders.begin(), holders.end(),
                                        [](const auto& holder) { return holder.second > 1; });
  const auto names = std::views::keys(holders);
  if (is_shared || repeats || (classes.size() == 1 && holders.size() > 1)) {
    throw InputError(
        parent.string(), "class folders that hold images",
        fmt::format("{} without images of {} own, but with folders {} in {}: give the folder above "
                    "the class folders, such as --data-dir {}, or name splits train, val and test, "
                    "or name them by --train-split and --val-split",
                    names_of(classes), classes.size() == 1 ? "its" : "their",
                    name_list(std::vector<std::string>(names.begin(), names.end())),
                    classes.size() == 1 ? "it" : "them",
                    shell_word(classes.begin()->second.string())));
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

/// What is said of folders of `part` that are one class, because their names are one in Unicode.
std::vector<std::string> joined_note(const SplitFolder& part) {
  std::set<std::string> joined;
  for (const auto& [name, folder] : part.classes) {
    if (part.classes.count(name) > 1) {
      joined.insert(name);
    }
  }
  return joined.empty()
             ? std::vector<std::string>{}
             : std::vector{
                   "folders whose names differ in their Unicode form alone are one class: " +
                   name_list({joined.begin(), joined.end()})};
}

/// What is said of `names` that differ in the case of letters alone.
std::vector<std::string> case_note(const std::set<std::string>& names) {
  std::map<std::string, std::vector<std::string>> folded;
  for (const auto& name : names) {
    folded[case_folded(name)].push_back(name);
  }
  std::vector<std::string> twins;
  for (const auto& item : folded) {
    if (item.second.size() > 1) {
      twins.insert(twins.end(), item.second.begin(), item.second.end());
    }
  }
  return twins.empty() ? std::vector<std::string>{}
                       : std::vector{
                             "warning: names that differ in case alone are different "
                             "classes: " +
                             name_list(twins)};
}

void append(std::vector<std::string>& notes, const std::vector<std::string>& more) {
  notes.insert(notes.end(), more.begin(), more.end());
}

/// The images of the class folders in `parts` whose classes are in `classes`, labelled by the order
/// of those, in the order of parts and paths. Says in one line what was taken and what was not;
/// `name` is that of the whole, `notes` what else there is to say.
std::unique_ptr<Dataset> collect(FolderWalk& walk, const std::vector<const SplitFolder*>& parts,
                                 const std::set<std::string>& classes, const std::string& name,
                                 std::vector<std::string> notes) {
  std::vector<std::pair<fs::path, int64_t>> files;
  std::set<std::string> untrained;
  auto names = classes;
  for (const auto* part : parts) {
    append(notes, joined_note(*part));
    const auto first = std::ssize(files);
    for (const auto& [class_name, folder] : class_folders(walk, {part})) {
      const auto place = classes.find(class_name);
      if (place == classes.end()) {
        untrained.insert(class_name);
        if (!walk.images(folder).empty()) {  // counts what is left out, too
          names.insert(class_name);
        }
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
  append(notes, case_note(names));
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

/// What is said of classes that are named as splits.
std::vector<std::string> note_of_split_names(const Folders& classes) {
  std::vector<std::string> names;
  for (const auto& [name, folder] : classes) {
    if (names_a_split(name)) {
      names.push_back(name);
    }
  }
  return names.empty() ? std::vector<std::string>{}
                       : std::vector{
                             "warning: named as a split, but a class, since it holds no "
                             "class folders: " +
                             name_list(names)};
}

/// A root whose subfolders are the classes.
std::unique_ptr<Dataset> open_without_splits(FolderWalk& walk, const fs::path& root,
                                             const std::string& split, Folders folders) {
  const auto kind = split_kind(split);
  if (!kind) {
    throw UsageError(root.string() + ": split",
                     "train, val or all, or a folder of class folders" +
                         (folders.empty() ? "" : " (here are " + names_of(folders) + ")"),
                     "'" + printable_text(split) + "'");
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
  auto notes = stray_note(root);
  append(notes, note_of_split_names(folders));
  const SplitFolder whole{"", root, std::move(folders)};
  return hold_out(
      collect(walk, {&whole}, classes_with_images({&whole}), root.string(), std::move(notes)),
      *kind);
}

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const fs::path& root, const std::string& split,
                                           const SplitChoice& choice) {
  if (!fs::is_directory(root)) {
    throw InputError(root.string(), "a folder of class folders",
                     fs::exists(root) ? "a file" : "no such folder");
  }
  FolderWalk walk;
  auto folders = walk.subfolders(root);
  const auto parts = split_folders(walk, folders, {split, choice.train, choice.val});
  if (parts.empty()) {
    return open_without_splits(walk, root, split, std::move(folders));
  }
  for (const auto& part : parts) {
    check_level(part.path, part.classes);
  }
  auto notes = notes_of_splits(folders);
  const auto classes = classes_with_images(parts_of_classes(parts, split, choice));
  if (split_kind(split) == SplitKind::kAll) {
    return collect(walk, pointers_to(parts), classes, root.string(), std::move(notes));
  }
  const auto part = find_part(root, folders, parts, split, choice);
  append(notes, stray_note(part.folder->path));
  return hold_out(
      collect(walk, {part.folder}, classes, part.folder->path.string(), std::move(notes)),
      part.kept);
}

}  // namespace softmoe
