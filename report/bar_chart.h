#pragma once
/// Bar charts as inline SVG: pure functions from data to text, drawn with the classes of
/// page_style.h.

#include <limits>
#include <string>
#include <vector>

namespace softmoe::report {

/// One bar with a whisker from `low` to `high` and `note` after its value.
struct Bar {
  std::string label;
  double value = 0.0;
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  std::string note{};
  bool is_reference = false;  ///< the bar that the others are compared with; it is paler
  int color = -1;             ///< of the series that the bar is about, or -1
};

/// Horizontal bars from 0, the label above each.
struct BarChart {
  std::string name;
  std::string title;  ///< of the value axis, with the unit
  std::vector<Bar> bars;
  double full_scale = std::numeric_limits<double>::quiet_NaN();  ///< end of the axis if the
                                                                 ///< quantity has one (100 %)
  int digits = 3;  ///< significant digits of the values
};

/// The chart without bars whose value is not finite, or "" if it has none.
std::string bar_chart_svg(const BarChart& chart);

}  // namespace softmoe::report
