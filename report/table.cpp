#include "report/table.h"

#include <fmt/format.h>

#include "core/table.h"
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
  std::vector<std::string> headings;
  std::vector<Align> alignment;
  for (const auto& column : table.columns) {
    headings.push_back(column.name);
    alignment.push_back(column.numeric ? Align::kRight : Align::kLeft);
  }
  TextTable text(headings, alignment);
  text.add_rule();
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const auto& cell : row.cells) {
      cells.push_back(cell.text);
    }
    text.add_row(cells);
  }
  return (table.title.empty() ? "" : table.title + "\n") + text.text() +
         (table.note.empty() ? "" : table.note + "\n");
}

}  // namespace softmoe::report
