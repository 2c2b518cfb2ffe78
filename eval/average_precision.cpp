#include "eval/average_precision.h"

#include "core/tensor_check.h"

namespace softmoe {
namespace {

/// `scores` in descending order and whether the image of each shows the class.
std::optional<double> precision_of(const float* scores, const bool* shows, int64_t images) {
  int64_t positives = 0;
  for (int64_t i = 0; i < images; ++i) {
    positives += shows[i] ? 1 : 0;
  }
  if (positives == 0) {
    return std::nullopt;
  }
  double sum = 0.0;
  int64_t found = 0;
  int64_t counted = 0;  // of those found, at thresholds so far
  for (int64_t i = 0; i < images; ++i) {
    found += shows[i] ? 1 : 0;
    if (i + 1 == images || scores[i + 1] != scores[i]) {
      sum += static_cast<double>(found - counted) * static_cast<double>(found) /
             static_cast<double>(i + 1);
      counted = found;
    }
  }
  return sum / static_cast<double>(positives);
}

}  // namespace

std::vector<std::optional<double>> average_precision(const torch::Tensor& scores,
                                                     const torch::Tensor& present) {
  check_shape("average_precision: scores", scores, {-1, -1});
  check_shape("average_precision: present", present, {scores.size(0), scores.size(1)});
  std::vector<std::optional<double>> precisions;
  for (int64_t label = 0; label < scores.size(1); ++label) {
    const auto [sorted, order] =
        scores.select(1, label).to(torch::kFloat32).cpu().sort(/*dim=*/0, /*descending=*/true);
    const auto shows =
        present.select(1, label).cpu().to(torch::kBool).index_select(0, order);  // [images]
    precisions.push_back(precision_of(sorted.contiguous().const_data_ptr<float>(),
                                      shows.const_data_ptr<bool>(), scores.size(0)));
  }
  return precisions;
}

double mean_of_present(const std::vector<std::optional<double>>& values) {
  double sum = 0.0;
  int64_t count = 0;
  for (const auto& value : values) {
    sum += value.value_or(0.0);
    count += value ? 1 : 0;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0.0;
}

}  // namespace softmoe
