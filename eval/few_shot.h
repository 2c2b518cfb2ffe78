#pragma once
/// Few-shot evaluation of frozen features, as big_vision's `fewshot_lsr`: for each seed, k examples
/// per class, a ridge probe in closed form, accuracy on the test set. Features may come from a
/// model or be the raw pixels themselves.

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"
#include "eval/feature_set.h"
#include "eval/few_shot_draws.h"
#include "eval/few_shot_options.h"

namespace softmoe {

/// Accuracy of one number of shots with one lambda.
struct FewShotScore {
  int64_t shots = 0;
  double lambda = 0;
  std::vector<double> accuracies{};  ///< one per seed, in [0, 1]

  double mean() const;
  double std() const;  ///< population standard deviation over the seeds
};

/// The scores of one pair of a train and a test set: one for each number of shots and each lambda,
/// in the order of the options.
struct FewShotResult {
  std::string name{};
  int64_t dim = 0;
  int64_t classes = 0;
  int64_t train_examples = 0;
  int64_t test_examples = 0;
  std::vector<FewShotScore> scores{};
  bool lambda_selected_on_test = false;
};

/// Accuracies in [0, 1] on `test_features` [examples, dim], `test_labels` [examples] of the probes
/// trained on `features` [examples, dim], `labels` [examples], one per lambda.
std::vector<double> ridge_accuracies(const torch::Tensor& features, const torch::Tensor& labels,
                                     const torch::Tensor& test_features,
                                     const torch::Tensor& test_labels, int64_t num_classes,
                                     const std::vector<double>& lambdas);

/// All scores of one pair of sets. Throws InputError if a set is not valid (check_features()), if
/// their dims differ, or if there is no training example with a label of the test set.
FewShotResult few_shot(const FeatureSet& train, const FeatureSet& test,
                       const FewShotOptions& options);
/// The scores of probes that learn from `draws`, examples of `train`.
FewShotResult few_shot(const FeatureSet& train, const FeatureSet& test,
                       const FewShotOptions& options, const FewShotDraws& draws);

/// {"name", "dim", …, "results": [{"shots", "lambda", "accuracy_mean", "accuracy_std", …}]}
Json to_json(const FewShotResult& result);

}  // namespace softmoe
