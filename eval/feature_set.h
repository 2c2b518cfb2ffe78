#pragma once
/// Labelled feature vectors, from our models or from anywhere.

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

/// Throws InputError that names the set and the field: other axes or types than above, lengths
/// that differ, no example, negative labels, features that are not finite (the first such row).
void check_features(const FeatureSet& set);

/// Reads the arrays `features` and `labels` of an .npz file. Integer features (raw pixels) become
/// float32, and features of more than two axes are flattened to [examples, dim]. The result is
/// checked.
FeatureSet read_features(const std::filesystem::path& path);

/// Writes `set` so that read_features finds it.
void write_features(const std::filesystem::path& path, const FeatureSet& set);

}  // namespace softmoe
