#pragma once
/// Labelled feature vectors of any origin.

#include <torch/types.h>

#include <filesystem>
#include <string>

namespace softmoe {

/// One labelled set of feature vectors.
struct FeatureSet {
  std::string name{};        ///< what errors and tables call it: a path, a data set
  torch::Tensor features{};  ///< [examples, dim], floating point
  torch::Tensor labels{};    ///< [examples] int64, classes counted from 0
};

/// Throws InputError that names the set and the field for other axes or types than those of
/// FeatureSet, different lengths, no example, negative labels, and features that are not finite
/// (the first such row).
void check_features(const FeatureSet& set);
/// Throws InputError if one of both is not valid, or if they have different dims.
void check_features(const FeatureSet& train, const FeatureSet& test);

/// Reads the arrays `features` and `labels` of an .npz file. Integer features (raw pixels) become
/// float32, and features of more than two axes are flattened to [examples, dim]. The result is
/// checked.
FeatureSet read_features(const std::filesystem::path& path);

/// Writes `set` to a file that read_features() reads.
void write_features(const std::filesystem::path& path, const FeatureSet& set);

}  // namespace softmoe
