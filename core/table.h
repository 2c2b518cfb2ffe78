#pragma once
/// Tables for a terminal.

#include <cstdint>
#include <string>
#include <vector>

namespace softmoe {

/// How the cells of a column are aligned.
enum class Align { kLeft, kRight };

/// Text in columns.
class TextTable {
 public:
  /// The first column is aligned left, the others right, since they hold numbers.
  explicit TextTable(std::vector<std::string> headings);
  /// Throws c10::ValueError unless there is one alignment per column.
  TextTable(std::vector<std::string> headings, std::vector<Align> alignment);

  /// Throws c10::ValueError unless there is one cell per column.
  void add_row(std::vector<std::string> cells);
  /// Adds a row of dashes.
  void add_rule();
  /// The lines, each with its line break.
  std::string text() const;

 private:
  std::string line(const std::vector<std::string>& cells, const std::vector<int64_t>& widths) const;

  std::vector<Align> alignment_;
  std::vector<std::vector<std::string>> rows_;  // the headings first; a rule has no cells
};

}  // namespace softmoe
