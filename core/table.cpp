#include "core/table.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>

namespace softmoe {
namespace {

/// Three significant digits of `value` in the largest of `units`, each 1000 times the last.
std::string scaled(double value, const std::vector<std::string>& units) {
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", value, decimals, units[unit]);
}

std::vector<Align> default_alignment(size_t columns) {
  std::vector<Align> alignment(columns, Align::kRight);
  alignment.front() = Align::kLeft;
  return alignment;
}

}  // namespace

TextTable::TextTable(std::vector<std::string> headings)
    : alignment_(default_alignment(headings.size())), rows_{std::move(headings)} {}

TextTable::TextTable(std::vector<std::string> headings, std::vector<Align> alignment)
    : alignment_(std::move(alignment)), rows_{std::move(headings)} {
  TORCH_CHECK_VALUE(alignment_.size() == rows_.front().size(), "TextTable: expected ",
                    rows_.front().size(), " alignments, found ", alignment_.size());
}

void TextTable::add_row(std::vector<std::string> cells) {
  TORCH_CHECK_VALUE(cells.size() == alignment_.size(), "TextTable: expected ", alignment_.size(),
                    " cells, found ", cells.size());
  rows_.push_back(std::move(cells));
}

void TextTable::add_rule() { rows_.emplace_back(); }

std::string TextTable::line(const std::vector<std::string>& cells,
                            const std::vector<int64_t>& widths) const {
  std::string text;
  for (size_t column = 0; column < widths.size(); ++column) {
    text += column == 0 ? "" : "  ";
    if (cells.empty()) {
      text.append(static_cast<size_t>(widths[column]), '-');
      continue;
    }
    const std::string padding(static_cast<size_t>(widths[column] - text_width(cells[column])), ' ');
    text += alignment_[column] == Align::kLeft ? cells[column] + padding : padding + cells[column];
  }
  return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
}

std::string TextTable::text() const {
  std::vector<int64_t> widths(alignment_.size(), 0);
  for (const auto& row : rows_) {
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], text_width(row[column]));
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    text += line(row, widths);
  }
  return text;
}

int64_t text_width(const std::string& text) {
  // Continuation bytes of UTF-8 take no column.
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) >> 6) != 2; });
}

std::string format_count(int64_t count) {
  return scaled(static_cast<double>(count), {"", "k", "M", "B", "T"});
}

std::string format_bytes(int64_t bytes) {
  return scaled(static_cast<double>(bytes), {" B", " kB", " MB", " GB", " TB"});
}

}  // namespace softmoe
