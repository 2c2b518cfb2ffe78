#pragma once
/// Folders of image files with a text beside each.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "datasets/dataset.h"
#include "datasets/sources/image_folder.h"

namespace softmoe {

/// The first line with text of the file beside `image` whose name ends with .txt instead; nothing
/// if there is none. Throws InputError for a file that cannot be read or has more than 1 MiB.
std::optional<std::string> caption_beside(const std::filesystem::path& image);

/// The images of `split` below `root` at any depth that have a text (caption_beside), without
/// labels. Subfolders that are named as splits (or as `choice` says) are the splits; else the set
/// is divided as others are that come in one piece. Throws InputError if no image has a text.
std::unique_ptr<Dataset> open_caption_folder(const std::filesystem::path& root,
                                             const std::string& split, const SplitChoice& choice);

}  // namespace softmoe
