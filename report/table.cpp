#include "report/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/text_format.h"
#include "report/svg_parts.h"

namespace softmoe::report {
namespace {

std::string row_html(const Table& table, const Row& row) {
  std::string html = "<tr>";
  for (size_t i = 0; i < row.cells.size(); ++i) {
    const bool numeric = table.columns.at(i).numeric;
    const auto& cell = row.cells[i];
    const char* tag = i == 0 ? "th" : "td";
    html += fmt::format("<{}{}{}>", tag, i == 0 ? " scope=\"row\"" : "",
                        numeric ? " class=\"number\"" : "");
    html += i == 0 && row.color >= 0 ? legend_marker_svg(row.color) : "";
    const auto text = escape_html(cell.text);
    html += cell.strong ? "<strong>" + text + "</strong>" : text;
    html += fmt::format("</{}>", tag);
  }
  return html + "</tr>\n";
}

/// A column's name in HTML; a line must not begin with its unit.
std::string heading_html(const std::string& name) {
  auto html = escape_html(name);
  if (html.ends_with(", %")) {
    html.replace(html.size() - 2, 1, "&nbsp;");
  }
  return html;
}

std::string padded(const std::string& text, int64_t width, bool to_right) {
  const std::string spaces(static_cast<size_t>(std::max<int64_t>(0, width - text_width(text))),
                           ' ');
  return to_right ? spaces + text : text + spaces;
}

std::string without_trailing_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

std::string table_html(const Table& table) {
  std::string html = "<div class=\"table\"><table>\n";
  if (!table.title.empty()) {
    html += "<caption>" + escape_html(table.title) + "</caption>\n";
  }
  html += "<thead><tr>";
  for (const auto& column : table.columns) {
    html += fmt::format("<th scope=\"col\"{}>{}</th>", column.numeric ? " class=\"number\"" : "",
                        heading_html(column.name));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += row_html(table, row);
  }
  html += "</tbody></table></div>\n";
  return table.note.empty() ? html
                            : html + "<p class=\"note\">" + escape_html(table.note) + "</p>\n";
}

std::string table_text(const Table& table) {
  std::vector<int64_t> widths;
  const auto shown = [](const Row& row, size_t column) {
    return terminal_text(row.cells.at(column).text);
  };
  for (size_t i = 0; i < table.columns.size(); ++i) {
    widths.push_back(text_width(table.columns[i].name));
    for (const auto& row : table.rows) {
      widths[i] = std::max(widths[i], text_width(shown(row, i)));
    }
  }
  std::string header;
  std::string rule;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    header +=
        (i == 0 ? "" : "  ") + padded(table.columns[i].name, widths[i], table.columns[i].numeric);
    rule += (i == 0 ? "" : "  ") + std::string(static_cast<size_t>(widths[i]), '-');
  }
  std::string text = table.title.empty() ? "" : table.title + "\n";
  text += without_trailing_spaces(header) + "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    std::string line;
    for (size_t i = 0; i < table.columns.size(); ++i) {
      line += (i == 0 ? "" : "  ") + padded(shown(row, i), widths[i], table.columns[i].numeric);
    }
    text += without_trailing_spaces(line) + "\n";
  }
  return table.note.empty() ? text : text + table.note + "\n";
}

}  // namespace softmoe::report
