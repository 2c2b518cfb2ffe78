#pragma once
/// Folders of image files, one folder per class.

#include <filesystem>
#include <memory>
#include <string>

#include "datasets/dataset.h"

namespace softmoe {

/// What the user calls the splits.
struct SplitChoice {
  std::string train = "train";
  std::string val = "val";
};

/// The split `split` of `root` by the rules of docs/data.md; one log line says what was taken and
/// what was left out. Throws MissingSplit if there is no folder for the split, InputError if there
/// is no image or if the class folders seem to be on another level.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root,
                                           const std::string& split,
                                           const SplitChoice& choice = {});

}  // namespace softmoe
