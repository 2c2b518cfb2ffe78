#pragma once
/// Tables for the page and for the terminal.

#include <string>
#include <vector>

namespace softmoe::report {

struct Column {
  std::string name;      ///< with its unit, if any
  bool numeric = false;  ///< aligned to the right, digits of equal width
};

struct Cell {
  Cell(std::string cell_text, bool is_strong = false)  // NOLINT: a cell is its text
      : text(std::move(cell_text)), strong(is_strong) {}
  Cell(const char* cell_text) : text(cell_text) {}  // NOLINT

  std::string text;
  bool strong = false;  ///< the best of its column
};

struct Row {
  std::vector<Cell> cells;  ///< one per column
  int color = -1;           ///< of the row's series, or -1
};

struct Table {
  std::string title{};
  std::vector<Column> columns{};
  std::vector<Row> rows{};
  std::string note{};  ///< below the table
};

/// The table as HTML that scrolls sideways on a narrow screen.
std::string table_html(const Table& table);

/// The table as aligned plain text under its title; every line ends with a line break.
std::string table_text(const Table& table);

}  // namespace softmoe::report
