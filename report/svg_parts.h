#pragma once
/// Parts of drawings in inline SVG. Colours, fonts and line widths come from the classes of the
/// page around them (page_style.h), so one drawing serves light and dark screens and print.

#include <string>

namespace softmoe::report {

/// Number of series colours of the page; series beyond it repeat them with dashes.
inline constexpr int kSeriesColors = 8;

/// A colour that belongs to no series, for reference lines.
inline constexpr int kNeutralColor = 6;

/// The line and marker of a series for a legend, as a small drawing.
std::string legend_marker_svg(int color);

/// The marker of series `color` centred at (x, y), with `tooltip` if that is not empty.
std::string marker_svg(int color, double x, double y, const std::string& tooltip);

/// `text` with HTML's special characters replaced and control characters, which HTML does not
/// allow, left out.
std::string escape_html(const std::string& text);

}  // namespace softmoe::report
