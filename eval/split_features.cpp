#include "eval/split_features.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/pluralize.h"
#include "core/rng.h"
#include "datasets/single_labels.h"
#include "eval/features.h"

namespace softmoe {

FeatureSet extract_features(const Dataset& set, const std::string& name,
                            const FeatureExtractor& extractor, const LoaderOptions& options) {
  Loader loader(set, extractor.transform, options);
  return extract_features(extractor.forward, loader, name,
                          {.device = extractor.device,
                           .label = "Features of " + name,
                           .images = set.size(),
                           .before_batch = extractor.before_batch});
}

namespace {

std::vector<torch::Tensor> augmented_views(const DatasetSplits& set, FeatureExtractor extractor,
                                           LoaderOptions options) {
  if (extractor.views == 0) {
    return {};
  }
  extractor.transform = extractor.augment.value();
  const auto seed = options.seed;
  std::vector<torch::Tensor> views;
  for (int64_t view = 0; view < extractor.views; ++view) {
    options.seed = stream_key(seed, "views of features", 0, static_cast<uint64_t>(view));
    const auto name =
        fmt::format("{} {}, view {} of {}", set.name, set.train_split, view + 1, extractor.views);
    views.push_back(extract_features(set.train, name, extractor, options).features);
  }
  return views;  // each [examples, dim]
}

}  // namespace

SplitFeatures split_features(const DatasetSplits& set, const FeatureExtractor& extractor,
                             const LoaderOptions& options) {
  check_same_classes(set);
  const auto features_of = [&](const Dataset& images, const std::string& split) {
    return extract_features(images, set.name + " " + split, extractor, options);
  };
  return {.name = set.name,
          .train = features_of(set.train, set.train_split),
          .test = features_of(set.test, set.test_split),
          .class_names = set.train.class_names(),
          .views = augmented_views(set, extractor, options)};
}

void check_same_classes(const DatasetSplits& set) {
  require_single_labels(set.train, "probes of features");
  const auto& expected = set.train.class_names();
  const auto& found = set.test.class_names();
  const auto where = fmt::format("{} split {}", set.name, set.test_split);
  const auto of_train = " of split " + set.train_split;
  if (found.size() != expected.size()) {
    throw InputError(where, "the " + pluralize(std::ssize(expected), "class", "classes") + of_train,
                     pluralize(std::ssize(found), "class", "classes"));
  }
  const auto [mine, other] = std::mismatch(expected.begin(), expected.end(), found.begin());
  if (mine != expected.end()) {
    throw InputError(fmt::format("{}: class {}", where, mine - expected.begin()),
                     "'" + printable_text(*mine) + "'" + of_train,
                     "'" + printable_text(*other) + "'");
  }
}

void for_each_pair_of_files(const std::vector<std::string>& train,
                            const std::vector<std::string>& test,
                            const std::function<void(const SplitFeatures&)>& use) {
  if (train.size() != test.size()) {
    throw UsageError("--test-features",
                     pluralize(std::ssize(train), "file") + " as --train-features",
                     std::to_string(test.size()));
  }
  for (size_t i = 0; i < train.size(); ++i) {
    SplitFeatures pair{
        .name = {}, .train = read_features(train[i]), .test = read_features(test[i])};
    pair.name = pair.test.name;
    use(pair);
  }
}

}  // namespace softmoe
