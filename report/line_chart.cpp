#include "report/line_chart.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text_format.h"
#include "report/number_text.h"
#include "report/svg_parts.h"

namespace softmoe::report {
namespace {

constexpr double kPlotWidth = 460.0;
constexpr double kHeight = 300.0;
constexpr double kPlotTop = 32.0;
constexpr double kBottom = 44.0;
constexpr double kTickCharacter = 6.7;  // widest digit of the 12 px tick font of common sans faces
constexpr double kLabelGap = 13.0;      // between the values at the ends of lines
constexpr size_t kMaxWhiskers = 12;

/// The position of the plot in the drawing.
struct Frame {
  double left, right, top, bottom;
  Scale x, y;

  double at_x(double value) const { return left + x.position(value) * (right - left); }
  double at_y(double value) const { return bottom - y.position(value) * (bottom - top); }
  bool shows(const Point& point) const {
    return std::isfinite(point.x) && std::isfinite(point.y) && (!x.logarithmic || point.x > 0.0) &&
           (!y.logarithmic || point.y > 0.0);
  }
};

bool has_spread(const Point& point) {
  return std::isfinite(point.low) && std::isfinite(point.high);
}

bool any_value(const LineChart& chart) {
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (std::isfinite(point.x) && std::isfinite(point.y)) {
        return true;
      }
    }
  }
  return false;
}

Frame frame_of(const LineChart& chart) {
  std::vector<double> xs;
  std::vector<double> ys;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (std::isfinite(point.x) && std::isfinite(point.y)) {
        xs.push_back(point.x);
        if (!series.faint) {
          ys.insert(ys.end(), {point.y, point.low, point.high});
        }
      }
    }
  }
  Frame frame{
      .left = 0.0, .right = 0.0, .top = kPlotTop, .bottom = kHeight - kBottom, .x = {}, .y = {}};
  frame.x = make_scale(chart.x, xs, 5, /*begins_at_tick=*/false);
  frame.y = make_scale(chart.y, ys, 5, /*begins_at_tick=*/true);
  int64_t widest = 1;
  for (const auto& text : frame.y.tick_texts) {
    widest = std::max(widest, text_width(text));
  }
  frame.left = 12.0 + kTickCharacter * static_cast<double>(widest);
  frame.right = kPlotWidth - 46.0;
  return frame;
}

std::string axes_svg(const LineChart& chart, const Frame& frame) {
  std::string svg;
  for (size_t i = 0; i < frame.y.ticks.size(); ++i) {
    const double y = frame.at_y(frame.y.ticks[i]);
    svg += fmt::format(R"(<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/>)", frame.left, y,
                       frame.right);
    svg += fmt::format(R"(<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)",
                       frame.left - 6.0, y + 4.0, frame.y.tick_texts[i]);
  }
  svg += fmt::format(R"(<path class="axis" d="M{:.1f} {:.1f}H{:.1f}"/>)", frame.left, frame.bottom,
                     frame.right);
  double free_from = -1e9;
  for (size_t i = 0; i < frame.x.ticks.size(); ++i) {
    const double x = frame.at_x(frame.x.ticks[i]);
    svg += fmt::format(R"(<path class="axis" d="M{:.1f} {:.1f}v5"/>)", x, frame.bottom);
    const double half =
        0.5 * kTickCharacter * static_cast<double>(text_width(frame.x.tick_texts[i]));
    if (x - half < free_from) {
      continue;  // the tick is drawn without its text, which would overlap the previous text
    }
    free_from = x + half + 6.0;
    svg += fmt::format(R"(<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
                       x, frame.bottom + 18.0, frame.x.tick_texts[i]);
  }
  svg += fmt::format(R"(<text class="title" x="2" y="14">{}</text>)", escape_html(chart.y.title));
  svg += fmt::format(R"(<text class="title" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
                     0.5 * (frame.left + frame.right), kHeight - 6.0, escape_html(chart.x.title));
  return svg;
}

/// Path data through the points; a point that is not shown interrupts the path.
std::string line_path(const Series& series, const Frame& frame) {
  std::string path;
  bool is_down = false;
  for (const auto& point : series.points) {
    if (!frame.shows(point)) {
      is_down = false;
      continue;
    }
    path += fmt::format("{}{:.2f} {:.2f}", is_down ? "L" : "M", frame.at_x(point.x) - frame.left,
                        frame.at_y(point.y) - frame.top);
    is_down = true;
  }
  return path;
}

std::string band_path(const Series& series, const Frame& frame) {
  std::string upper;
  std::string lower;
  size_t count = 0;
  for (const auto& point : series.points) {
    if (!frame.shows(point) || !has_spread(point)) {
      continue;
    }
    const double x = frame.at_x(point.x) - frame.left;
    upper += fmt::format("{}{:.2f} {:.2f}", upper.empty() ? "M" : "L", x,
                         frame.at_y(point.high) - frame.top);
    lower = fmt::format("L{:.2f} {:.2f}", x, frame.at_y(point.low) - frame.top) + lower;
    ++count;
  }
  return count < 2 ? "" : upper + lower + "Z";
}

std::string series_svg(const Series& series, const Frame& frame) {
  const int color = series.color % kSeriesColors;
  std::string svg;
  if (const auto band = band_path(series, frame); !band.empty()) {
    svg += fmt::format(R"(<path class="band f{}" d="{}"/>)", color, band);
  }
  if (const auto path = line_path(series, frame); path.find('L') != std::string::npos) {
    svg +=
        fmt::format(R"(<path class="line l{}{}{}" d="{}"/>)", color, series.faint ? " faint" : "",
                    series.color >= kSeriesColors ? " dashed" : "", path);
  }
  return svg;
}

std::string markers_svg(const LineChart& chart, const Series& series, const Frame& frame) {
  std::string svg;
  const bool is_single = series.points.size() == 1;
  for (const auto& point : series.points) {
    if (!frame.shows(point) || !frame.y.contains(point.y)) {
      continue;
    }
    const double x = frame.at_x(point.x);
    if (has_spread(point) && series.points.size() <= kMaxWhiskers) {
      svg += fmt::format(R"(<path class="line l{} whisker" d="M{:.2f} {:.2f}V{:.2f}"/>)",
                         series.color % kSeriesColors, x, frame.at_y(point.low),
                         frame.at_y(point.high));
    }
    if (series.markers || is_single) {
      svg += marker_svg(
          series.color, x, frame.at_y(point.y),
          fmt::format("{}: {} at {}", series.label, fixed_text(point.y, chart.value_decimals),
                      short_text(point.x, 4)));
    }
  }
  return svg;
}

/// The value that is written beside the end of a line.
struct EndValue {
  double x;
  double y;
  int color;
  std::string text;
};

std::vector<EndValue> end_values(const LineChart& chart, const Frame& frame) {
  std::vector<EndValue> values;
  for (const auto& series : chart.series) {
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(),
                                   [&](const Point& point) { return frame.shows(point); });
    if (series.faint || last == series.points.rend()) {
      continue;
    }
    values.push_back({.x = frame.at_x(last->x),
                      .y = std::clamp(frame.at_y(last->y), frame.top, frame.bottom),
                      .color = series.color % kSeriesColors,
                      .text = fixed_text(last->y, chart.value_decimals)});
  }
  return values;
}

/// Moves values apart that would overlap; all stay inside the plot.
void spread_apart(std::vector<EndValue>& values, const Frame& frame) {
  std::stable_sort(values.begin(), values.end(),
                   [](const EndValue& a, const EndValue& b) { return a.y < b.y; });
  double free_from = frame.top;
  for (auto& value : values) {
    value.y = std::max(value.y, free_from);
    free_from = value.y + kLabelGap;
  }
  double free_to = frame.bottom;
  for (auto value = values.rbegin(); value != values.rend(); ++value) {
    value->y = std::min(value->y, free_to);
    free_to = value->y - kLabelGap;
  }
}

std::string end_values_svg(const LineChart& chart, const Frame& frame) {
  auto values = end_values(chart, frame);
  const auto room = static_cast<size_t>((frame.bottom - frame.top) / kLabelGap);
  if (!chart.end_values || values.size() > room) {
    return "";
  }
  spread_apart(values, frame);
  std::string svg;
  for (const auto& value : values) {
    svg += fmt::format(R"(<text class="end t{}" x="{:.1f}" y="{:.1f}">{}</text>)", value.color,
                       frame.right + 8.0, value.y + 4.0, value.text);
  }
  return svg;
}

}  // namespace

std::string line_chart_svg(const LineChart& chart) {
  if (!any_value(chart)) {
    return "";
  }
  const auto frame = frame_of(chart);
  std::string svg =
      fmt::format(R"(<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">)",
                  kPlotWidth, kHeight, escape_html(chart.name));
  svg += axes_svg(chart, frame);
  // A nested drawing clips the points outside a robust range.
  svg += fmt::format(R"(<svg x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">)", frame.left,
                     frame.top, frame.right - frame.left, frame.bottom - frame.top);
  for (const bool faint : {true, false}) {
    for (const auto& series : chart.series) {
      svg += series.faint == faint ? series_svg(series, frame) : "";
    }
  }
  svg += "</svg>";
  for (const auto& series : chart.series) {
    svg += series.faint ? "" : markers_svg(chart, series, frame);
  }
  return svg + end_values_svg(chart, frame) + "</svg>";
}

}  // namespace softmoe::report
