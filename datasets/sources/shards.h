#pragma once
/// Tar shards with WebDataset's names as a data set. Images are read where an index of the shards'
/// members says that they are, in any order and by any number of threads.

#include <filesystem>
#include <memory>
#include <string>

#include "datasets/dataset.h"
#include "datasets/sources/image_folder.h"
#include "datasets/sources/manifest_reader.h"

namespace softmoe {

struct ShardOptions {
  std::string label_key{};            ///< of .json members; empty: the usual names
  std::filesystem::path class_map{};  ///< a file, see ClassLabels; empty: by the labels
  /// A folder for copies of shards that are read once in their order (shard_stream.h); empty: they
  /// are refused.
  std::filesystem::path copies{};
  LabelFormat labels{};
  std::string caption_key{};  ///< of .json members; empty: the usual names
  /// True: captions are read if there are any, and labels may be missing.
  bool captions = false;
};

/// Opens `split` of the shards that `location` names: a pattern (shard_names.h), one file, "pipe:"
/// and a command, or a folder with shards of each split (`train-0000.tar`, `train/0000.tar`, or
/// what `choice` names). Shards of one location are divided as folders without splits are. The
/// classes are those of the class map, else those of the training images. Throws InputError that
/// names the shard.
std::unique_ptr<Dataset> open_shards(const std::string& location, const std::string& split,
                                     const SplitChoice& choice, const ShardOptions& options);

}  // namespace softmoe
