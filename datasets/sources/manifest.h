#pragma once
/// Image files that a manifest lists.

#include <filesystem>
#include <memory>
#include <string>

#include "datasets/dataset.h"
#include "datasets/sources/image_folder.h"
#include "datasets/sources/manifest_reader.h"

namespace softmoe {

/// Opens `split` of a manifest, or of a folder with a manifest per split: `train.csv`,
/// `train/metadata.csv`, or a file that `choice` names. Paths are relative to their manifest. One
/// manifest is divided by its column `split` if it has one, else as folders without splits are. The
/// classes are those of `class_map` (a file; see ClassLabels), else those of the training images.
/// Throws InputError that names the row: a file that is missing, one that stands twice with
/// different labels, a label that is no class.
std::unique_ptr<Dataset> open_manifest(const std::filesystem::path& path, const std::string& split,
                                       const SplitChoice& choice, const ManifestColumns& columns,
                                       const std::filesystem::path& class_map);

}  // namespace softmoe
