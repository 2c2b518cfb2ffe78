#pragma once
/// Flags of commands that learn from frozen features, and the features that they ask for.

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "core/options.h"
#include "datasets/loader.h"
#include "eval/split_features.h"
#include "inference/inference_model.h"

namespace softmoe::cli {

/// Where the features come from.
enum class FeatureSource { kCheckpoint, kRandom, kPixels };

/// What features to use: those of images, or those of files.
struct FeatureFlags {
  std::vector<std::string> train_features;
  std::vector<std::string> test_features;
  std::string checkpoint;
  FeatureSource features = FeatureSource::kCheckpoint;
  std::string save_features;
  std::string label;
  std::string amp_dtype = "auto";

  bool operator==(const FeatureFlags&) const = default;

  bool names_files() const { return !train_features.empty() || !test_features.empty(); }
};
void describe(OptionTable& table, FeatureFlags& flags);

/// Throws UsageError unless `flags` name files or a checkpoint.
void check_features_given(const FeatureFlags& flags);

/// Augmented views of training images.
struct FeatureViews {
  int64_t count = 0;  ///< per image
  double hflip = 0;   ///< min share of them that is mirrored
};

/// The model, or what takes its place, of `flags` with the preprocessing of its checkpoint, and, if
/// there are `views`, that of its training. `seed` is that of random weights.
FeatureExtractor feature_extractor(const FeatureFlags& flags, int64_t seed,
                                   const torch::Device& device, const FeatureViews& views = {});

/// Writes the features to files if `flags` ask for it.
void save_features(const FeatureFlags& flags, const FeatureSet& train, const FeatureSet& test);

/// What tables and plots call the features.
std::string label_of(const FeatureFlags& flags);

/// Where the features of images come from.
struct FeatureImages {
  const DatasetOptions& data;
  const LoaderOptions& loader;
  int64_t seed = 0;  ///< of random weights and of views
  torch::Device device = torch::kCPU;
  std::function<void()> before_batch = {};  ///< may throw, such as on Ctrl-C
  int64_t views = 0;                        ///< augmented ones of each training image
};

/// Calls `use` for each pair of files that `flags` name, or for the features of all `images`, which
/// are saved if `flags` ask for it.
void for_each_features(const FeatureFlags& flags, const FeatureImages& images,
                       const std::function<void(const SplitFeatures&)>& use);

/// The sizes of what is learned from.
struct FeatureSizes {
  int64_t dim = 0;
  int64_t classes = 0;
  int64_t train = 0;  ///< images
  int64_t test = 0;   ///< images
};
/// "64 features, 10 classes, 898 training images and 899 test images"
std::string sizes_text(const FeatureSizes& sizes);

/// `document` with "label" and the results of data sets: the members of the only one, or "sets".
Json feature_results(const std::string& label, const Json& sets);

}  // namespace softmoe::cli

namespace softmoe {

template <>
inline constexpr std::array<EnumName<cli::FeatureSource>, 3> kEnumNames<cli::FeatureSource>{
    {{cli::FeatureSource::kCheckpoint, "checkpoint"},
     {cli::FeatureSource::kRandom, "random"},
     {cli::FeatureSource::kPixels, "pixels"}}};

}  // namespace softmoe
