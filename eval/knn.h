#pragma once
/// Classification by the nearest neighbours of frozen features, as `eval_knn` of DINO (Caron et
/// al., arXiv:2104.14294, section 4.2) and DINOv2 (Oquab et al., arXiv:2304.07193) does it.

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"
#include "eval/feature_set.h"

namespace softmoe {

/// How to classify; the defaults are those of published results.
struct KnnOptions {
  std::vector<int64_t> k{10, 20, 100, 200};  ///< neighbours that vote, one result each
  double temperature = 0.07;                 ///< of the votes

  bool operator==(const KnnOptions&) const = default;
};
void describe(OptionTable& table, KnnOptions& options);

/// Throws UsageError unless there is a k, and all k and the temperature are above 0.
void validate(const KnnOptions& options);

/// Accuracy of one number of neighbours, in [0, 1].
struct KnnScore {
  int64_t k = 0;
  double top1 = 0;
  double top5 = 0;
};

/// The scores of one pair of a train and a test set, in the order of the options.
struct KnnResult {
  std::string name{};
  int64_t dim = 0;
  int64_t classes = 0;  ///< that have training examples
  int64_t train_examples = 0;
  int64_t test_examples = 0;
  std::vector<KnnScore> scores{};
};

/// Where and in which parts the neighbours are searched.
struct KnnSearch {
  torch::Device device = torch::kCPU;
  /// Bound of the memory for similarities and votes; one test example at least is compared at once.
  int64_t chunk_bytes = int64_t{256} << 20;
};

/// Classifies each example of `test` by the k examples of `train` with the most similar features:
/// the cosine of features, a neighbour of similarity s votes exp(s / temperature) for its class.
/// The prediction is the class with the most votes, the first of equal ones; only classes that got
/// a vote count for the top five. All examples vote if k is larger than their number, which a line
/// of the log says. Computed in float32, votes are added in float64. Throws InputError for sets
/// that are not valid or have other dims, and for a label of `test` that no example of `train` has.
KnnResult knn(const FeatureSet& train, const FeatureSet& test, const KnnOptions& options,
              const KnnSearch& search = {});

/// {"name", "dim", …, "results": [{"k", "top1", "top5"}]}
Json to_json(const KnnResult& result);

}  // namespace softmoe
