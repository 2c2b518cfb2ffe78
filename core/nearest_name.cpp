#include "core/nearest_name.h"

#include <algorithm>
#include <numeric>

#include "core/lower_case.h"

namespace softmoe {
namespace {

/// Levenshtein distance.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  std::string nearest;
  size_t distance = 4;  // a larger distance is no typing mistake
  for (const auto& candidate : known) {
    const auto mistakes = edit_distance(lower_case(name), lower_case(candidate));
    if (mistakes < distance && 2 * mistakes <= candidate.size()) {
      distance = mistakes;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : ", did you mean " + nearest + "?";
}

}  // namespace softmoe
