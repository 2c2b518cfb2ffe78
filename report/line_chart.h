#pragma once
/// Line charts as inline SVG: pure functions from data to text, drawn with the classes of
/// page_style.h.

#include <limits>
#include <string>
#include <vector>

#include "report/axis.h"

namespace softmoe::report {

/// One measured value, optionally with its spread.
struct Point {
  double x = 0.0;
  double y = 0.0;
  double low = std::numeric_limits<double>::quiet_NaN();   ///< lower end of the whisker
  double high = std::numeric_limits<double>::quiet_NaN();  ///< upper end of the whisker
};

/// One line of a chart.
struct Series {
  std::string label;
  int color = 0;  ///< 0, 1, ..: selects colour, marker and dash
  std::vector<Point> points;
  bool markers = true;
  bool faint = false;  ///< background of another series, such as raw values behind a mean
};

/// Lines over a common x axis. `y.title` stands above the y axis, `x.title` below the x axis.
/// The last value of each line is written at its end; labels are in the legend, see
/// legend_marker_svg().
struct LineChart {
  std::string name;  ///< text for screen readers
  Axis x;
  Axis y;
  std::vector<Series> series;
  int value_decimals = 1;  ///< of the values at the ends and in tool tips
  bool end_values = true;
};

/// The chart, or "" if it has no finite value. A line is broken at values that are not finite.
std::string line_chart_svg(const LineChart& chart);

}  // namespace softmoe::report
