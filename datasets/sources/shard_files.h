#pragma once
/// Which shards belong to a split.

#include <string>

#include "datasets/sources/split_files.h"

namespace softmoe {

/// The shards of `split` of `location`, see open_shards(). Throws InputError that names the first
/// shard that is missing.
SplitFiles find_shards(const std::string& location, const std::string& split,
                       const SplitChoice& choice);

}  // namespace softmoe
