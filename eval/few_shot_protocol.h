#pragma once
/// Few-shot evaluation from images to accuracies: a model gives features of the images that are
/// drawn, and ridge probes learn from these.
///
///     const auto train = make_dataset({.dataset = "digits"}, "train");
///     const auto test = make_dataset({.dataset = "digits"}, "val");
///     const auto result = few_shot({.name = "digits", .train = *train, .test = *test},
///                                  {.forward = features_of, .transform = transform});
///     result.scores.front().mean();  // accuracy with one example per class

#include <cstdint>
#include <string>
#include <vector>

#include "eval/few_shot.h"
#include "eval/split_features.h"

namespace softmoe {

/// How the protocol is run.
struct FewShotProtocol {
  FewShotOptions probes{};
  /// Training images of each class, at random, from which the shots are drawn; 0: all.
  int64_t pool = 0;
  /// Compute the features of all training images instead of only those that a probe needs.
  bool all_features = false;
  LoaderOptions loader{};
};

/// Features of a data set, and which of the training features the probes learn from.
struct FewShotFeatures {
  std::string name;  ///< of the data set
  FeatureSet train;
  FeatureSet test;
  FewShotDraws draws;
};

/// Draws the training examples and computes the features of both parts of `set`. Throws InputError
/// for features that are not finite and if the classes of both parts differ, UsageError for options
/// that contradict themselves.
FewShotFeatures few_shot_features(const DatasetSplits& set, const FeatureExtractor& extractor,
                                  const FewShotProtocol& protocol);

/// The scores of probes that learn from `features`, as few_shot() of two feature sets gives them.
FewShotResult few_shot(const FewShotFeatures& features, const FewShotOptions& options);

/// few_shot_features() and the scores of their probes.
FewShotResult few_shot(const DatasetSplits& set, const FeatureExtractor& extractor,
                       const FewShotProtocol& protocol = {});

/// The scores of several data sets whose features are files that read_features() reads; the sets
/// of `train` and `test` belong together in their order. With `options.test_selected_lambda`, one
/// lambda is selected for all sets (select_lambdas_on_test()). Throws UsageError if there are not
/// as many test files as training files.
std::vector<FewShotResult> few_shot_files(const std::vector<std::string>& train,
                                          const std::vector<std::string>& test,
                                          const FewShotOptions& options);

}  // namespace softmoe
