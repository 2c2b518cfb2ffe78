#pragma once
/// Colours of the series of all plots of a report.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace softmoe::report {

/// Gives each label one colour for all plots.
class SeriesColors {
 public:
  /// The colour of `label`; a label seen for the first time gets the next one.
  int color_of(const std::string& label);
  /// The colour of `label`, or nullopt if it has none yet.
  std::optional<int> known_color(const std::string& label) const;

 private:
  std::map<std::string, int> colors_;
};

/// The distinct labels with their colours, in the order of `labels`.
std::vector<std::pair<std::string, int>> legend_of(const std::vector<std::string>& labels,
                                                   SeriesColors& colors);

}  // namespace softmoe::report
