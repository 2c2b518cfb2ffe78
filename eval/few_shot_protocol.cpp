#include "eval/few_shot_protocol.h"

#include "core/log.h"
#include "core/rng.h"
#include "datasets/sampling.h"
#include "datasets/subset.h"
#include "eval/lambda_selection.h"

namespace softmoe {
namespace {

/// At most `pool` images of each class of `set`, chosen at random by `seed`, ascending; all for 0.
std::vector<int64_t> pool_indices(const Dataset& set, int64_t pool, int64_t seed) {
  Rng rng(stream_key(static_cast<uint64_t>(seed), "few-shot pool"));
  std::vector<int64_t> taken(set.class_names().size(), 0);
  std::vector<int64_t> indices;
  for (const int64_t index : random_permutation(set.size(), rng)) {
    const auto label = static_cast<size_t>(set.label(index));
    if (pool == 0 || taken[label] < pool) {
      ++taken[label];
      indices.push_back(index);
    }
  }
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace

FewShotFeatures few_shot_features(const DatasetSplits& set, const FeatureExtractor& extractor,
                                  const FewShotProtocol& protocol) {
  check_same_classes(set);
  const auto features_of = [&](const Dataset& images, const std::string& split) {
    return extract_features(images, set.name + " " + split, extractor, protocol.loader);
  };
  const Subset pool(set.train, pool_indices(set.train, protocol.pool, protocol.probes.seed));
  FewShotFeatures features{.name = set.name, .train = {}, .test = {}, .draws = {}};
  if (!protocol.all_features) {
    const auto labels = torch::tensor(all_labels(pool), torch::kInt64);  // [images]
    const auto draws = draw_examples(labels, protocol.probes);
    const auto needed = draws.needed();  // [needed]
    const auto* first = needed.const_data_ptr<int64_t>();
    const Subset drawn(pool, {first, first + needed.size(0)});
    features.train = features_of(drawn, set.train_split);
    features.draws = draws.among_needed();
    if (features.train.labels.size(0) != needed.size(0)) {
      log_line("images that were drawn cannot be read: drawing among those that can");
      features.train = {};
    }
  }
  if (!features.train.features.defined()) {
    features.train = features_of(pool, set.train_split);
    features.draws = draw_examples(features.train.labels, protocol.probes);
  }
  features.test = features_of(set.test, set.test_split);
  return features;
}

FewShotResult few_shot(const FewShotFeatures& features, const FewShotOptions& options) {
  auto result = few_shot(features.train, features.test, options, features.draws);
  result.name = features.name;
  return result;
}

FewShotResult few_shot(const DatasetSplits& set, const FeatureExtractor& extractor,
                       const FewShotProtocol& protocol) {
  return few_shot(few_shot_features(set, extractor, protocol), protocol.probes);
}

std::vector<FewShotResult> few_shot_files(const std::vector<std::string>& train,
                                          const std::vector<std::string>& test,
                                          const FewShotOptions& options) {
  std::vector<FewShotResult> results;
  for_each_pair_of_files(train, test, [&](const SplitFeatures& pair) {
    results.push_back(few_shot(pair.train, pair.test, options));
  });
  return options.test_selected_lambda ? select_lambdas_on_test(results) : results;
}

}  // namespace softmoe
