#include "core/table.h"

#include <c10/util/Exception.h>

#include <algorithm>

#include "core/error.h"
#include "core/text_format.h"

namespace softmoe {
namespace {

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
  std::transform(cells.begin(), cells.end(), cells.begin(),
                 [](const std::string& cell) { return terminal_text(cell); });
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

}  // namespace softmoe
