#pragma once
/// Writes data sets to packed files; packed.h describes the format.

#include <filesystem>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// How images are stored in a packed file.
enum class PackLayout {
  kAuto,     ///< kEncoded if the source has image files, else kRaw
  kEncoded,  ///< unchanged files; PNG for sources without files
  kRaw       ///< pixels, all images of one size
};
template <>
inline constexpr std::array<EnumName<PackLayout>, 3> kEnumNames<PackLayout>{
    {{PackLayout::kAuto, "auto"}, {PackLayout::kEncoded, "encoded"}, {PackLayout::kRaw, "raw"}}};

struct PackOptions {
  PackLayout layout = PackLayout::kAuto;
  double max_bad_images = 0.01;
  int64_t workers = 0;   ///< threads that read and encode; 0: the caller's. Has no flag
  std::string source{};  ///< origin of the images, noted in the file. Has no flag

  bool operator==(const PackOptions&) const = default;
};
void describe(OptionTable& table, PackOptions& options);

/// What pack_dataset() wrote and what it left out.
struct PackReport {
  int64_t images = 0;  ///< in the file
  int64_t bytes = 0;   ///< of the images as they are stored
  std::vector<BadImage> bad;
};

/// Writes `dataset` to `path`, atomically, after its images are ready in a file `path`.part beside
/// it, which takes as much space and from which the next call goes on if this one is ended; `split`
/// is noted in the file. What the file holds does not depend on the number of workers. Every image
/// is decoded once; unreadable ones are logged and left out. Throws InputError if they are more
/// than the limit, if the disk is full, and for images of several sizes in raw layout; Interrupted
/// after Ctrl-C or SIGTERM.
PackReport pack_dataset(const Dataset& dataset, const std::filesystem::path& path,
                        const std::string& split, const PackOptions& options);

}  // namespace softmoe
