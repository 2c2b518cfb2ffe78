#pragma once
/// The files of a split, for sources whose splits are files of a folder.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "datasets/sources/image_folder.h"
#include "datasets/splits.h"

namespace softmoe {

/// The files that hold a split.
struct SplitFiles {
  std::vector<std::string> files;
  SplitKind kept = SplitKind::kAll;      ///< the part of `files` that is the split
  std::vector<std::string> class_files;  ///< the files whose labels say what the classes are
};

/// The files of a folder that belong to the split `name` alone; all splits' if `name` is empty.
using FilesOfSplit = std::function<std::vector<std::string>(const std::string& name)>;

/// The files of `split` in `folder`: those of that name, else those of a name of the same kind,
/// else a part of the training split or of all files. Throws MissingSplit that says what `files`
/// are needed if there are none.
SplitFiles find_split_files(const std::filesystem::path& folder, const std::string& split,
                            const SplitChoice& choice, const FilesOfSplit& files_of,
                            const std::string& expected);

}  // namespace softmoe
