#pragma once
/// Features of both splits of a data set: what every protocol on frozen features begins with.
///
///     const auto train = make_dataset({.dataset = "digits"}, "train");
///     const auto test = make_dataset({.dataset = "digits"}, "val");
///     const auto features = split_features({.name = "digits", .train = *train, .test = *test},
///                                          {.forward = features_of, .transform = transform}, {});
///     knn(features.train, features.test, {});

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/batch_loop.h"
#include "eval/feature_set.h"

namespace softmoe {

/// How images become features.
struct FeatureExtractor {
  Forward forward;                     ///< to [batch, dim], such as a model or pixel_features()
  Transform transform;                 ///< from images to what `forward` takes
  std::optional<Transform> augment{};  ///< makes views of training images, if any are wanted
  int64_t views = 0;                   ///< of each training image by `augment`
  torch::Device device = torch::kCPU;  ///< of the model
  std::function<void()> before_batch = {};  ///< may throw, such as on Ctrl-C
};

/// A labelled data set in two parts.
struct DatasetSplits {
  std::string name;
  const Dataset& train;               ///< what is learned from
  const Dataset& test;                ///< what is tested
  std::string train_split = "train";  ///< what messages call `train`
  std::string test_split = "test";
};

/// Features of both parts of a data set.
struct SplitFeatures {
  std::string name;  ///< of the data set, or of the file with the test features
  FeatureSet train;
  FeatureSet test;
  std::vector<std::string> class_names = {};  ///< empty: the labels have no names
  std::vector<torch::Tensor> views = {};      ///< each of all of `train`, augmented [examples, dim]
};

/// The features of all images of `set` that can be read, in their order, called `name`.
FeatureSet extract_features(const Dataset& set, const std::string& name,
                            const FeatureExtractor& extractor, const LoaderOptions& options);

/// The features of all images of both parts, and of `extractor.views` augmented views of the
/// training images, whose randomness is keyed by `options.seed` and the number of the view. Throws
/// InputError if the classes of the parts differ, and for features that are not finite.
SplitFeatures split_features(const DatasetSplits& set, const FeatureExtractor& extractor,
                             const LoaderOptions& options);

/// Throws InputError unless both parts of `set` have the same classes.
void check_same_classes(const DatasetSplits& set);

/// Calls `use` for each pair of files of `train` and `test` that belong together by their order,
/// with what read_features() reads of them. Throws UsageError if there are not as many test files
/// as training files.
void for_each_pair_of_files(const std::vector<std::string>& train,
                            const std::vector<std::string>& test,
                            const std::function<void(const SplitFeatures&)>& use);

}  // namespace softmoe
