#pragma once
/// Folders of image files, one folder per class.

#include <filesystem>
#include <memory>
#include <string>

#include "datasets/dataset.h"

namespace softmoe {

/// The split `split` of `root`. If there is a folder `root/<split>` (or one with a common synonym
/// of that name), its subfolders are the classes, and all image files at any depth below a
/// subfolder are its images, in the order of their paths. The classes are those of all split
/// folders, so that all splits have equal classes. If there are no split folders, the subfolders of
/// `root` are the classes, and every tenth image of each class is val. Files of other kinds are
/// left out with a log line. Throws InputError if there is no image.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root,
                                           const std::string& split);

}  // namespace softmoe
