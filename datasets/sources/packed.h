#pragma once
/// The packed format: one HDF5 file with images, labels, names and checksums.
///
/// Text attributes of the root: `format` "softmoe images", `version`, `layout`, `split`,
/// `class_names` (a JSON list), `checksum` (XXH3-64, in hex, of the class names and of the arrays
/// that are not images) and, if it is known, `source` (a name of datasets/sources.h). Arrays,
/// with n images: `/labels` int64 [n], or of a multi-label set the labels of one image after the
/// other and `/label_ends` int64 [n]; `/checksums` uint64 [n], XXH3-64 of each image's bytes;
/// `/names` uint8, the names one after the other, and `/name_ends` int64 [n]. Sets with captions
/// have `/captions` and `/caption_ends` likewise, and labels of -1 if they have no classes; if
/// their texts call the classes otherwise than by their names, `class_texts` is a JSON list. Such
/// files have the version 2, others 1. Layout "encoded":
/// `/bytes` uint8, image files one after the other, and `/ends` int64 [n]. Layout "raw": `/images`
/// uint8 [n, height, width, channels].

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// Opens `split` of a packed file, or of a folder with one packed file per split ("train.h5",
/// "val.h5"). A file that holds the split "all" is divided as folders without splits are. Throws
/// InputError that names the file if it contradicts the format.
std::unique_ptr<Dataset> open_packed(const std::filesystem::path& path, const std::string& split);

/// The source that is noted in the packed file of `split`; empty if none is. Throws like
/// open_packed() for files that are missing or not HDF5.
std::string packed_source(const std::filesystem::path& path, const std::string& split);

}  // namespace softmoe
