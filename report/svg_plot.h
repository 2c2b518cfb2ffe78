#pragma once
/// Plots as inline SVG: pure functions from data to text. Colours, fonts and line widths come from
/// the classes of the page around them (page_style.h), so one drawing serves light, dark and print.
/// Values that are not finite are left out: a line is broken there. A plot without finite values is
/// "".

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "report/axis.h"

namespace softmoe::report {

/// Number of series colours of the page; series beyond it repeat them with dashes.
inline constexpr int kSeriesColors = 8;

/// A colour that belongs to no series, for reference lines.
inline constexpr int kNeutralColor = 6;

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

std::string line_chart_svg(const LineChart& chart);

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

std::string bar_chart_svg(const BarChart& chart);

/// The line and marker of a series for a legend, as a small drawing.
std::string legend_marker_svg(int color);

/// The marker of series `color` centred at (x, y), with `tooltip` if that is not empty.
std::string marker_svg(int color, double x, double y, const std::string& tooltip);

/// `text` with HTML's special characters replaced and control characters, which HTML does not
/// allow, left out.
std::string escape_html(const std::string& text);

}  // namespace softmoe::report
