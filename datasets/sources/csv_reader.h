#pragma once
/// Tables as text. Source: RFC 4180, and tabs in place of commas.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe {

/// Reads the rows of a table one after the other. Fields may be quoted, with `""` for a quote, and
/// may hold line breaks then; lines end with LF or CRLF; a byte order mark and empty lines are
/// passed over.
class CsvReader {
 public:
  /// `text` must outlive the reader; `name` begins messages.
  CsvReader(std::string_view text, char separator, std::string name);

  /// The fields of the next row; std::nullopt at the end. Throws InputError that names the row for
  /// a quote that is not closed or that stands in a field without quotes around it.
  std::optional<std::vector<std::string>> next();

  /// The number of the row that next() returned, counted from 1 as spreadsheets count.
  int64_t row() const { return row_; }

 private:
  std::string quoted_field();
  std::string plain_field();
  bool takes_line_end();

  std::string_view rest_;
  char separator_;
  std::string name_;
  int64_t row_ = 0;
};

}  // namespace softmoe
