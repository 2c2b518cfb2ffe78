#include "report/bar_chart.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text_format.h"
#include "report/number_text.h"
#include "report/svg_parts.h"

namespace softmoe::report {
namespace {

constexpr double kWidth = 460.0;
constexpr double kTop = 24.0;
constexpr double kRow = 42.0;
constexpr double kBarHeight = 15.0;
constexpr double kCharacter = 7.0;
constexpr int64_t kLabelLimit = 58;

std::string value_text(const BarChart& chart, const Bar& bar) {
  return short_text(bar.value, chart.digits);
}

/// The width of the value and the note behind a bar.
double width_after_bar(const BarChart& chart, const Bar& bar) {
  const auto characters = text_width(value_text(chart, bar)) + text_width(bar.note);
  return kCharacter * static_cast<double>(characters) + (bar.note.empty() ? 8.0 : 18.0);
}

/// The largest value of the axis.
double axis_end(const BarChart& chart) {
  double end = 0.0;
  for (const auto& bar : chart.bars) {
    for (const double value : {bar.value, bar.high}) {
      end = std::isfinite(value) ? std::max(end, value) : end;
    }
  }
  return std::isfinite(chart.full_scale) ? std::max(end, chart.full_scale) : end;
}

/// The width of the longest bar, such that every value fits behind its bar.
double room_for_bars(const BarChart& chart, double end) {
  double room = kWidth;
  for (const auto& bar : chart.bars) {
    const double tip = std::isfinite(chart.full_scale) ? end
                       : std::isfinite(bar.high)       ? std::max(bar.high, bar.value)
                                                       : bar.value;
    if (std::isfinite(tip) && tip > 0.0) {
      room = std::min(room, (kWidth - width_after_bar(chart, bar)) * end / tip);
    }
  }
  return std::max(room, 0.3 * kWidth);
}

std::string bar_class(const Bar& bar) {
  return bar.color >= 0     ? fmt::format("bar f{}", bar.color % kSeriesColors)
         : bar.is_reference ? "bar reference"
                            : "bar";
}

std::string bar_svg(const BarChart& chart, const Bar& bar, double top, double pixels_per_unit,
                    double track) {
  std::string svg =
      fmt::format(R"(<text class="label" x="0" y="{:.1f}">{}<title>{}</title></text>)", top + 13.0,
                  escape_html(shortened(bar.label, kLabelLimit)), escape_html(bar.label));
  const double bar_top = top + 19.0;
  if (track > 0.0) {
    svg += fmt::format(R"(<rect class="track" x="0" y="{:.1f}" width="{:.1f}" height="{}"/>)",
                       bar_top, track, kBarHeight);
  }
  const double length = std::isfinite(bar.value) ? std::max(0.0, bar.value * pixels_per_unit) : 0.0;
  svg += fmt::format(R"(<rect class="{}" x="0" y="{:.1f}" width="{:.2f}" height="{}" rx="2"/>)",
                     bar_class(bar), bar_top, length, kBarHeight);
  double text_x = length;
  if (std::isfinite(bar.low) && std::isfinite(bar.high)) {
    const double middle = bar_top + 0.5 * kBarHeight;
    const double high = bar.high * pixels_per_unit;
    svg += fmt::format(
        R"(<path class="spread" d="M{0:.2f} {2:.1f}v8M{0:.2f} {3:.1f}H{1:.2f}M{1:.2f} {2:.1f}v8"/>)",
        bar.low * pixels_per_unit, high, middle - 4.0, middle);
    text_x = std::max(text_x, high);
  }
  svg += fmt::format(R"(<text class="value" x="{:.1f}" y="{:.1f}">{}</text>)",
                     std::max(text_x, track) + 7.0, bar_top + 12.0, value_text(chart, bar));
  if (!bar.note.empty()) {
    svg += fmt::format(R"(<text class="tick" x="{:.1f}" y="{:.1f}">{}</text>)",
                       std::max(text_x, track) + 15.0 +
                           kCharacter * static_cast<double>(text_width(value_text(chart, bar))),
                       bar_top + 12.0, escape_html(bar.note));
  }
  return svg;
}

}  // namespace

std::string bar_chart_svg(const BarChart& chart) {
  const double end = axis_end(chart);
  if (end <= 0.0) {
    return "";
  }
  const double room = room_for_bars(chart, end);
  const double pixels_per_unit = room / end;
  const bool has_track = std::isfinite(chart.full_scale);
  const double height = kTop + kRow * static_cast<double>(chart.bars.size());
  std::string svg =
      fmt::format(R"(<svg class="plot" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">)",
                  kWidth, height, escape_html(chart.name));
  svg += fmt::format(R"(<text class="title" x="0" y="14">{}</text>)", escape_html(chart.title));
  double top = kTop;
  for (const auto& bar : chart.bars) {
    svg += bar_svg(chart, bar, top, pixels_per_unit,
                   has_track ? chart.full_scale * pixels_per_unit : 0.0);
    top += kRow;
  }
  return svg + "</svg>";
}

}  // namespace softmoe::report
