#pragma once
/// Tables for a terminal.

#include <string>
#include <vector>

namespace softmoe {

/// Text in columns: the first aligned left, the others right, since they hold numbers.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings);

  /// Throws c10::ValueError unless there is one cell a column.
  void add_row(std::vector<std::string> cells);
  /// The lines, each with its line break.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the headings first
};

/// 21664896 as "21.7M", 3684880134 as "3.68B".
std::string format_count(int64_t count);
/// Bytes in decimal units, as memory is sold: 7370000000 as "7.37 GB".
std::string format_bytes(int64_t bytes);

}  // namespace softmoe
