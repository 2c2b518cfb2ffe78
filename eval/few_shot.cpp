#include "eval/few_shot.h"

#include "core/progress.h"
#include "eval/compact_labels.h"
#include "eval/ridge_probe.h"

namespace softmoe {
namespace {

constexpr int64_t kChunkBytes = int64_t{64} << 20;

}  // namespace

double FewShotScore::mean() const {
  double sum = 0;
  for (const double accuracy : accuracies) {
    sum += accuracy;
  }
  return sum / static_cast<double>(accuracies.size());
}

double FewShotScore::std() const {
  const double center = mean();
  double sum = 0;
  for (const double accuracy : accuracies) {
    sum += (accuracy - center) * (accuracy - center);
  }
  return std::sqrt(sum / static_cast<double>(accuracies.size()));
}

std::vector<double> ridge_accuracies(const torch::Tensor& features, const torch::Tensor& labels,
                                     const torch::Tensor& test_features,
                                     const torch::Tensor& test_labels, int64_t num_classes,
                                     const std::vector<double>& lambdas) {
  const RidgeProbe probe(features, labels, num_classes);
  std::vector<torch::Tensor> weights;
  for (const double lambda : lambdas) {
    weights.push_back(probe.weights(lambda));  // [dim + 1, classes]
  }
  const int64_t examples = test_features.size(0);
  const int64_t row_bytes = 8 * std::max(test_features.size(1) + 1, num_classes);
  const int64_t rows = std::max<int64_t>(1, kChunkBytes / row_bytes);
  std::vector<int64_t> correct(lambdas.size(), 0);
  for (int64_t first = 0; first < examples; first += rows) {
    const auto inputs = probe.standardize(test_features.slice(0, first, first + rows));
    const auto expected = test_labels.slice(0, first, first + rows);  // [rows]
    for (size_t i = 0; i < lambdas.size(); ++i) {
      const auto predicted = inputs.matmul(weights[i]).argmax(/*dim=*/1);  // [rows]
      correct[i] += predicted.eq(expected).sum().item<int64_t>();
    }
  }
  std::vector<double> accuracies;
  for (const int64_t count : correct) {
    accuracies.push_back(static_cast<double>(count) / static_cast<double>(examples));
  }
  return accuracies;
}

FewShotResult few_shot(const FeatureSet& train, const FeatureSet& test,
                       const FewShotOptions& options) {
  check_features(train);
  return few_shot(train, test, options, draw_examples(train.labels, options));
}

FewShotResult few_shot(const FeatureSet& train, const FeatureSet& test,
                       const FewShotOptions& options, const FewShotDraws& draws) {
  check_features(train, test);
  const auto lambdas = resolved_lambdas(options);
  const auto labels = compact_labels(train, test);
  const auto train_features = train.features.cpu();  // [train examples, dim]
  const auto test_features = test.features.cpu();    // [test examples, dim]
  FewShotResult result{.name = test.name,
                       .dim = train_features.size(1),
                       .classes = labels.classes,
                       .train_examples = draws.examples,
                       .test_examples = test_features.size(0)};
  for (const int64_t shots : options.shots) {
    for (const double lambda : lambdas) {
      result.scores.push_back({.shots = shots, .lambda = lambda});
    }
  }
  const auto probes = options.fewshot_seeds * static_cast<int64_t>(options.shots.size());
  Progress progress("Few-shot " + result.name, probes, "probes");
  int64_t done = 0;
  for (const auto& subsets : draws.subsets) {
    auto score = result.scores.begin();
    for (const auto& subset : subsets) {
      const auto accuracies = ridge_accuracies(train_features.index_select(0, subset),
                                               labels.train.index_select(0, subset), test_features,
                                               labels.test, labels.classes, lambdas);
      for (const double accuracy : accuracies) {
        (score++)->accuracies.push_back(accuracy);
      }
      progress.update(++done);
    }
  }
  progress.finish();
  return result;
}

Json to_json(const FewShotResult& result) {
  Json scores = Json::array();
  for (const auto& score : result.scores) {
    scores.push_back({{"shots", score.shots},
                      {"lambda", score.lambda},
                      {"accuracy_mean", score.mean()},
                      {"accuracy_std", score.std()},
                      {"accuracies", score.accuracies}});
  }
  return {{"name", result.name},
          {"dim", result.dim},
          {"classes", result.classes},
          {"train_examples", result.train_examples},
          {"test_examples", result.test_examples},
          {"lambda_selected_on_test", result.lambda_selected_on_test},
          {"results", std::move(scores)}};
}

}  // namespace softmoe
