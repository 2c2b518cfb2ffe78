#include "report/series_colors.h"

#include <algorithm>

namespace softmoe::report {

int SeriesColors::color_of(const std::string& label) {
  return colors_.emplace(label, static_cast<int>(colors_.size())).first->second;
}

std::optional<int> SeriesColors::known_color(const std::string& label) const {
  const auto found = colors_.find(label);
  return found == colors_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::pair<std::string, int>> legend_of(const std::vector<std::string>& labels,
                                                   SeriesColors& colors) {
  std::vector<std::pair<std::string, int>> legend;
  for (const auto& label : labels) {
    const std::pair entry{label, colors.color_of(label)};
    if (std::find(legend.begin(), legend.end(), entry) == legend.end()) {
      legend.push_back(entry);
    }
  }
  return legend;
}

}  // namespace softmoe::report
