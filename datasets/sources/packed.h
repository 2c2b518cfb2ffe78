#pragma once
/// The packed format: one HDF5 file with images, labels, names and checksums.
///
/// Text attributes of the root: `format` "softmoe images", `version`, `layout`, `split`,
/// `class_names` (a JSON list), `checksum` (XXH3-64, in hex, of the class names and of the arrays
/// that are not images) and, where it is known, `source` (a name of datasets/sources.h). Arrays,
/// with n images: `/labels` int64 [n]; `/checksums` uint64 [n], XXH3-64 of each image's bytes;
/// `/names` uint8, the names one after the other, and
/// `/name_ends` int64 [n]. Layout "encoded": `/bytes` uint8, image files one after the other, and
/// `/ends` int64 [n]. Layout "raw": `/images` uint8 [n, height, width, channels].

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// How images lie in a packed file.
enum class PackLayout {
  kAuto,     ///< kEncoded where the source has image files, kRaw elsewhere
  kEncoded,  ///< files as they are; of sources without files, PNG
  kRaw       ///< pixels, all images of one size
};
template <>
inline constexpr std::array<EnumName<PackLayout>, 3> kEnumNames<PackLayout>{
    {{PackLayout::kAuto, "auto"}, {PackLayout::kEncoded, "encoded"}, {PackLayout::kRaw, "raw"}}};

struct PackOptions {
  PackLayout layout = PackLayout::kAuto;
  double max_bad_images = 0.01;
  int64_t workers = 0;   ///< threads that read and encode; 0: the caller's. No flag of its own
  std::string source{};  ///< where the images come from, noted in the file. No flag of its own

  bool operator==(const PackOptions&) const = default;
};
void describe(OptionTable& table, PackOptions& options);

/// What became of a set that was packed.
struct PackReport {
  int64_t images = 0;  ///< in the file
  int64_t bytes = 0;   ///< of the images as they are stored
  std::vector<BadImage> bad;
};

/// Writes `dataset` to `path`, atomically; `split` is noted in the file. What the file holds does
/// not depend on the number of workers. Every image is decoded once; bad ones are logged and left
/// out up to the limit. Throws InputError past it, where the disk is full, and for images of
/// several sizes in raw layout.
PackReport pack_dataset(const Dataset& dataset, const std::filesystem::path& path,
                        const std::string& split, const PackOptions& options);

/// Opens `split` of a packed file, or of a folder with one packed file a split ("train.h5",
/// "val.h5"). A file that holds the split "all" is divided as folders without splits are. Throws
/// InputError that names the file for whatever contradicts the format.
std::unique_ptr<Dataset> open_packed(const std::filesystem::path& path, const std::string& split);

/// The source that is noted in the packed file of `split`; empty where none is. Throws like
/// open_packed for files that are missing or not HDF5.
std::string packed_source(const std::filesystem::path& path, const std::string& split);

}  // namespace softmoe
