#include "cli/accuracy_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/table.h"

namespace softmoe::cli {
namespace {

/// Max number of classes in the table; of more classes, those with the lowest accuracy are shown.
constexpr size_t kMaxClassRows = 20;

}  // namespace

std::string accuracy_table(const ClassificationResult& result,
                           const std::vector<std::string>& names) {
  const bool is_multi_label = result.mean_average_precision.has_value();
  const auto& scores = is_multi_label ? result.average_precision : result.class_accuracy;
  const std::string score_name = is_multi_label ? "average precision" : "accuracy";
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::string title;
  if (names.size() > kMaxClassRows) {
    std::erase_if(order, [&](size_t label) { return !scores[label]; });
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return *scores[a] < *scores[b]; });
    order.resize(std::min(order.size(), kMaxClassRows));
    title = fmt::format("the {} of {} classes with the lowest {} (all are in --json)\n",
                        order.size(), names.size(), score_name);
  }
  TextTable table({"class", "images", score_name});
  for (const auto label : order) {
    const auto& score = scores[label];
    table.add_row({names[label], std::to_string(result.class_examples[label]),
                   score ? fmt::format("{:.2f} %", 100 * *score) : "-"});
  }
  return title + table.text();
}

}  // namespace softmoe::cli
