#pragma once
/// Which subfolders of a folder of images are splits, and which images belong to a split.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "datasets/sources/folder_walk.h"
#include "datasets/sources/image_folder.h"
#include "datasets/splits.h"

namespace softmoe {

/// Folders by their names as FolderWalk::subfolders() has them.
using Folders = std::multimap<std::string, std::filesystem::path>;

/// Some of the names of `folders`, for messages.
std::string names_of(const Folders& folders);

/// A folder that holds the class folders of a split, or several of one name.
struct SplitFolder {
  std::string name;
  std::filesystem::path path;
  Folders classes;

  bool is_called(const std::string& split) const;
};

/// The folder of a split, and which of its images belong to the split.
struct SplitPart {
  const SplitFolder* folder = nullptr;
  SplitKind kept = SplitKind::kAll;
};

/// Returns true if `name` is a common one of a split, but not of all.
bool names_a_split(const std::string& name);

/// Those of `folders` with class folders that are splits: by a common name of splits, or by one of
/// `chosen`.
std::vector<SplitFolder> split_folders(FolderWalk& walk, const Folders& folders,
                                       const std::vector<std::string>& chosen);

/// The part for `split` of `root` with the subfolders `folders`. Throws MissingSplit if there is
/// none.
SplitPart find_part(const std::filesystem::path& root, const Folders& folders,
                    const std::vector<SplitFolder>& parts, const std::string& split,
                    const SplitChoice& choice);

/// The parts whose images say what the classes are: the one for training, else the one of the name
/// `split`, else all.
std::vector<const SplitFolder*> parts_of_classes(const std::vector<SplitFolder>& parts,
                                                 const std::string& split,
                                                 const SplitChoice& choice);

std::vector<const SplitFolder*> pointers_to(const std::vector<SplitFolder>& parts);

/// The error of a folder that should hold class folders.
InputError no_class_folders(const std::filesystem::path& folder);

}  // namespace softmoe
