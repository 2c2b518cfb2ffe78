#include "eval/knn.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/progress.h"
#include "eval/compact_labels.h"

namespace softmoe {
namespace {

constexpr int64_t kCountedClasses = 5;
constexpr double kMinNorm = 1e-12;

torch::Tensor unit_rows(const torch::Tensor& features) {
  const auto rows = features.to(torch::kFloat32);                // [examples, dim]
  const auto norms = rows.norm(2, /*dim=*/1, /*keepdim=*/true);  // [examples, 1]
  return rows / norms.clamp_min(kMinNorm);                       // [examples, dim]
}

void report_small_bank(const std::vector<int64_t>& numbers, int64_t examples,
                       const std::string& name) {
  for (const int64_t k : numbers) {
    if (k > examples) {
      log_line(fmt::format("--k {}: {} has {}, which all vote", k, name,
                           pluralize(examples, "example")));
    }
  }
}

/// Test examples that are compared at once.
int64_t rows_per_chunk(int64_t bytes, int64_t train_examples, int64_t neighbours,
                       int64_t num_classes) {
  // Similarities; value, place, class and vote of the neighbours; votes and ranks of classes.
  const int64_t row_bytes = 4 * train_examples + 32 * neighbours + 24 * num_classes;
  return std::max<int64_t>(1, bytes / row_bytes);
}

/// The training examples, ready to be searched.
struct Bank {
  torch::Tensor rows;    // [train examples, dim] of unit length
  torch::Tensor labels;  // [train examples]
  int64_t num_classes;
};

/// The nearest neighbours of some test examples.
struct Neighbours {
  torch::Tensor labels;  // [rows, k], the nearest first
  torch::Tensor votes;   // [rows, k] float64; 1 for the nearest
};

Neighbours nearest(const Bank& bank, const torch::Tensor& features, int64_t k, double temperature) {
  const auto similarity = unit_rows(features).matmul(bank.rows.t());  // [rows, train examples]
  const auto [similarities, places] = similarity.topk(k, /*dim=*/1);  // [rows, k]
  const auto labels = bank.labels.index_select(0, places.flatten());  // [rows * k]
  // Relative to the nearest one, so that no temperature is too small for the exponential.
  const auto lead = similarities - similarities.slice(/*dim=*/1, 0, 1);  // [rows, k]
  return {.labels = labels.view_as(places),
          .votes = (lead.to(torch::kFloat64) / temperature).exp()};
}

/// How many labels are the first, and among the first five, by the votes of the `k` nearest: [2].
torch::Tensor count_right(const Neighbours& neighbours, const torch::Tensor& labels, int64_t k,
                          int64_t num_classes) {
  auto votes = torch::zeros({labels.size(0), num_classes}, neighbours.votes.options());
  votes.scatter_add_(/*dim=*/1, neighbours.labels.slice(1, 0, k), neighbours.votes.slice(1, 0, k));
  const auto own = votes.gather(/*dim=*/1, labels.unsqueeze(1));  // [rows, 1]
  const auto classes = torch::arange(num_classes, labels.options()).unsqueeze(0);
  const auto ahead = votes.gt(own).logical_or(  // [rows, classes]
      votes.eq(own).logical_and(classes.lt(labels.unsqueeze(1))));
  const auto rank = ahead.sum(/*dim=*/1);   // [rows]
  const auto voted = own.squeeze(1).gt(0);  // [rows]
  return torch::stack({rank.lt(1).logical_and(voted).sum(),
                       rank.lt(kCountedClasses).logical_and(voted).sum()});  // [2]
}

}  // namespace

void describe(OptionTable& table, KnnOptions& options) {
  table.add("k", options.k, "nearest training images that vote, one result each",
            {.unit = "images", .min = 1});
  table.add("temperature", options.temperature,
            "a neighbour of cosine similarity s votes exp(s / temperature); above 0", {.min = 0});
}

void validate(const KnnOptions& options) {
  if (options.k.empty()) {
    throw UsageError("k", "at least one number", "none");
  }
  for (const int64_t k : options.k) {
    if (k < 1) {
      throw UsageError("k", "positive numbers", std::to_string(k));
    }
  }
  if (!(options.temperature > 0) || !std::isfinite(options.temperature)) {
    throw UsageError("temperature", "a positive number", fmt::format("{:g}", options.temperature));
  }
}

KnnResult knn(const FeatureSet& train, const FeatureSet& test, const KnnOptions& options,
              const KnnSearch& search) {
  validate(options);
  check_features(train, test);
  const torch::NoGradGuard no_grad;
  const auto labels = compact_labels(train, test);
  KnnResult result{.name = test.name,
                   .dim = train.features.size(1),
                   .classes = labels.classes,
                   .train_examples = train.features.size(0),
                   .test_examples = test.features.size(0)};
  report_small_bank(options.k, result.train_examples, train.name);
  const int64_t max_k =
      std::min(*std::max_element(options.k.begin(), options.k.end()), result.train_examples);
  const int64_t rows =
      rows_per_chunk(search.chunk_bytes, result.train_examples, max_k, result.classes);
  const Bank bank{.rows = unit_rows(train.features.to(search.device)),
                  .labels = labels.train.to(search.device),
                  .num_classes = result.classes};
  auto right =
      torch::zeros({std::ssize(options.k), 2}, torch::dtype(torch::kInt64).device(search.device));
  Progress progress("Neighbours " + result.name, result.test_examples, "images");
  for (int64_t first = 0; first < result.test_examples; first += rows) {
    const auto queries = test.features.slice(0, first, first + rows).to(search.device);
    const auto expected = labels.test.slice(0, first, first + rows).to(search.device);  // [rows]
    const auto neighbours = nearest(bank, queries, max_k, options.temperature);
    for (int64_t i = 0; i < std::ssize(options.k); ++i) {
      right[i] +=
          count_right(neighbours, expected, options.k[static_cast<size_t>(i)], bank.num_classes);
    }
    progress.update(std::min(first + rows, result.test_examples));
  }
  progress.finish();
  const auto shares = right.cpu().to(torch::kFloat64) / static_cast<double>(result.test_examples);
  for (int64_t i = 0; i < std::ssize(options.k); ++i) {
    result.scores.push_back({.k = options.k[static_cast<size_t>(i)],
                             .top1 = shares[i][0].item<double>(),
                             .top5 = shares[i][1].item<double>()});
  }
  return result;
}

Json to_json(const KnnResult& result) {
  Json scores = Json::array();
  for (const auto& score : result.scores) {
    scores.push_back({{"k", score.k}, {"top1", score.top1}, {"top5", score.top5}});
  }
  return {{"name", result.name},
          {"dim", result.dim},
          {"classes", result.classes},
          {"train_examples", result.train_examples},
          {"test_examples", result.test_examples},
          {"results", std::move(scores)}};
}

}  // namespace softmoe
