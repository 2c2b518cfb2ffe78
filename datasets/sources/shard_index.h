#pragma once
/// The samples of a tar shard with WebDataset's names.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/sources/manifest_reader.h"

namespace softmoe {

/// An image of a shard.
struct ShardImage {
  std::string name;    ///< of its member
  int64_t offset = 0;  ///< of its first byte in the shard
  int64_t size = 0;
  /// As they are written; one, unless the set is multi-label. None without a label.
  std::vector<std::string> labels;
  std::string caption = {};  ///< if ShardKeys::captions
};

/// The images of a shard, in its order.
struct ShardIndex {
  std::vector<ShardImage> images;
  int64_t left_out = 0;  ///< samples without an image of a format that is read
};

/// Where labels and captions stand in a sample.
struct ShardKeys {
  std::string label = {};    ///< of .json members; empty: the usual names
  std::string caption = {};  ///< of .json members; empty: the usual names
  bool captions = false;     ///< captions are read, and then labels may be missing
};

/// Reads the headers and labels of an uncompressed shard. Members that follow each other and whose
/// names are equal up to the first dot of the file's name are a sample; what follows the dot says
/// what a member is: an image by the usual extensions, `cls` a label, `txt` a caption, `json` an
/// object with a label under `keys.label` (empty: `label`, `class` and other usual names, and only
/// if there is no `cls`) and a caption under `keys.caption` (likewise, `txt`). Source:
/// https://github.com/webdataset/webdataset. Throws InputError that names the shard, and the sample
/// if it has no label, two images, or a name that stands twice.
ShardIndex index_shard(const std::filesystem::path& shard, const ShardKeys& keys,
                       const LabelFormat& format = {});

}  // namespace softmoe
