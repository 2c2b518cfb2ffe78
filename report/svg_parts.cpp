#include "report/svg_parts.h"

#include <fmt/format.h>

#include "core/options.h"

namespace softmoe::report {
namespace {

std::string marker_shape(int shape, double x, double y) {
  switch (shape) {
    case 1:
      return fmt::format(R"(<rect x="{:.2f}" y="{:.2f}" width="6.4" height="6.4")", x - 3.2,
                         y - 3.2);
    case 2:
      return fmt::format(R"(<path d="M{:.2f} {:.2f}l4.1 7h-8.2z")", x, y - 4.4);
    case 3:
      return fmt::format(R"(<path d="M{:.2f} {:.2f}l4.4 4.4l-4.4 4.4l-4.4-4.4z")", x, y - 4.4);
    default:
      return fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="3.5")", x, y);
  }
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char character : valid_utf8(text)) {
    switch (character) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(character) >= 0x20 || character == '\n' ||
            character == '\t') {
          escaped += character;
        }
    }
  }
  return escaped;
}

std::string marker_svg(int color, double x, double y, const std::string& tooltip) {
  const bool is_repeat = color >= kSeriesColors;
  std::string text = marker_shape(color % 4, x, y);
  text += fmt::format(R"( class="m{}{}")", color % kSeriesColors, is_repeat ? " hollow" : "");
  return text + (tooltip.empty() ? "/>"
                                 : "><title>" + escape_html(tooltip) + "</title>" +
                                       (color % 4 == 0   ? "</circle>"
                                        : color % 4 == 1 ? "</rect>"
                                                         : "</path>"));
}

std::string legend_marker_svg(int color) {
  return fmt::format(
      R"(<svg class="key" viewBox="0 0 26 12" width="26" height="12" aria-hidden="true">)"
      R"(<path class="line l{}{}" d="M1 6H25"/>{}</svg>)",
      color % kSeriesColors, color >= kSeriesColors ? " dashed" : "",
      marker_svg(color, 13.0, 6.0, ""));
}

}  // namespace softmoe::report
