#include "datasets/sources/csv_reader.h"

#include <fmt/format.h>

#include "core/error.h"

namespace softmoe {

CsvReader::CsvReader(std::string_view text, char separator, std::string name)
    : rest_(text), separator_(separator), name_(std::move(name)) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (rest_.starts_with(kByteOrderMark)) {
    rest_.remove_prefix(kByteOrderMark.size());
  }
}

std::optional<std::vector<std::string>> CsvReader::next() {
  while (takes_line_end()) {
    ++row_;
  }
  if (rest_.empty()) {
    return std::nullopt;
  }
  ++row_;
  std::vector<std::string> fields;
  for (;;) {
    fields.push_back(rest_.starts_with('"') ? quoted_field() : plain_field());
    if (rest_.empty() || takes_line_end()) {
      return fields;
    }
    if (rest_.front() != separator_) {
      throw InputError(
          fmt::format("{} row {}: a quoted field goes on behind its quote", name_, row_));
    }
    rest_.remove_prefix(1);
  }
}

std::string CsvReader::quoted_field() {
  std::string field;
  for (;;) {
    rest_.remove_prefix(1);
    const auto quote = rest_.find('"');
    if (quote == rest_.npos) {
      throw InputError(fmt::format("{} row {}: a quote is not closed", name_, row_));
    }
    field += rest_.substr(0, quote);
    rest_.remove_prefix(quote + 1);
    if (!rest_.starts_with('"')) {
      return field;
    }
    field += '"';
  }
}

std::string CsvReader::plain_field() {
  const auto end = rest_.find_first_of(std::string{separator_, '\n', '"'});
  auto field = rest_.substr(0, end);
  if (end != rest_.npos && rest_[end] == '"') {
    throw InputError(
        fmt::format("{} row {}: a quote stands in a field without quotes around it", name_, row_));
  }
  rest_.remove_prefix(field.size());
  if (field.ends_with('\r') && (rest_.empty() || rest_.front() == '\n')) {
    field.remove_suffix(1);
  }
  return std::string(field);
}

bool CsvReader::takes_line_end() {
  const size_t length = rest_.starts_with("\r\n") ? 2 : rest_.starts_with('\n') ? 1 : 0;
  rest_.remove_prefix(length);
  return length > 0;
}

}  // namespace softmoe
