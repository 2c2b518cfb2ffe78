#include "eval/lambda_selection.h"

#include <algorithm>
#include <functional>

namespace softmoe {
namespace {

/// Ranks counted from 0, the worst first; equal values share the mean of their ranks.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<double> result;
  for (const double value : values) {
    const auto below = std::count_if(values.begin(), values.end(),
                                     [value](double other) { return other < value; });
    const auto equal = std::count(values.begin(), values.end(), value);
    result.push_back(static_cast<double>(below) + 0.5 * static_cast<double>(equal - 1));
  }
  return result;
}

/// Positions in `scores` of the scores with `shots`.
std::vector<size_t> positions_of(const std::vector<FewShotScore>& scores, int64_t shots) {
  std::vector<size_t> positions;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i].shots == shots) {
      positions.push_back(i);
    }
  }
  return positions;
}

/// The candidate, a position of a score, with the best mean rank over all data sets and seeds.
size_t best_on_test(const std::vector<FewShotResult>& results,
                    const std::vector<size_t>& candidates) {
  std::vector<double> rank_sums(candidates.size(), 0.0);
  for (const auto& result : results) {
    const size_t seeds = result.scores[candidates[0]].accuracies.size();
    for (size_t draw = 0; draw < seeds; ++draw) {
      std::vector<double> accuracies;
      for (const size_t position : candidates) {
        accuracies.push_back(result.scores[position].accuracies[draw]);
      }
      const auto draw_ranks = ranks(accuracies);
      std::transform(rank_sums.begin(), rank_sums.end(), draw_ranks.begin(), rank_sums.begin(),
                     std::plus<>());
    }
  }
  size_t best = 0;
  for (size_t i = 1; i < candidates.size(); ++i) {
    const double lambda = results[0].scores[candidates[i]].lambda;
    const double best_lambda = results[0].scores[candidates[best]].lambda;
    if (rank_sums[i] > rank_sums[best] ||
        (rank_sums[i] == rank_sums[best] && lambda > best_lambda)) {
      best = i;
    }
  }
  return candidates[best];
}

}  // namespace

std::vector<FewShotResult> select_lambdas_on_test(const std::vector<FewShotResult>& results) {
  TORCH_CHECK_VALUE(!results.empty(), "select_lambdas_on_test: expected results, found none");
  const auto& first = results[0].scores;
  for (const auto& result : results) {
    TORCH_CHECK_VALUE(
        std::equal(first.begin(), first.end(), result.scores.begin(), result.scores.end(),
                   [](const FewShotScore& a, const FewShotScore& b) {
                     return a.shots == b.shots && a.lambda == b.lambda;
                   }),
        "select_lambdas_on_test: expected the same shots and lambdas in all results, found others "
        "in ",
        result.name);
  }
  auto selected = results;
  for (auto& result : selected) {
    result.scores.clear();
    result.lambda_selected_on_test = true;
  }
  std::vector<int64_t> seen;
  for (const auto& score : first) {
    if (std::find(seen.begin(), seen.end(), score.shots) != seen.end()) {
      continue;
    }
    seen.push_back(score.shots);
    const size_t best = best_on_test(results, positions_of(first, score.shots));
    for (size_t i = 0; i < results.size(); ++i) {
      selected[i].scores.push_back(results[i].scores[best]);
    }
  }
  return selected;
}

}  // namespace softmoe
