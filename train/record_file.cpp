#include "train/record_file.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/error.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

std::vector<std::string_view> split_fields(std::string_view row) {
  std::vector<std::string_view> fields;
  for (size_t comma = row.find(','); comma != std::string_view::npos; comma = row.find(',')) {
    fields.push_back(row.substr(0, comma));
    row.remove_prefix(comma + 1);
  }
  fields.push_back(row);
  return fields;
}

/// The offset of the first record; nothing if the file ends inside the header.
std::optional<size_t> end_of_header(const std::filesystem::path& path, const std::string& text,
                                    const std::string& header) {
  if (header.empty() || text.starts_with(header + "\n")) {
    return header.empty() ? 0 : header.size() + 1;
  }
  if (header.starts_with(text)) {
    return std::nullopt;
  }
  throw InputError(path.string(), "the columns " + header, text.substr(0, text.find('\n')));
}

}  // namespace

RecordFormat json_lines() {
  return {.header = "", .step_of = [](std::string_view line) -> std::optional<int64_t> {
            const auto record =
                nlohmann::json::parse(line, /*cb=*/nullptr, /*allow_exceptions=*/false);
            if (!record.is_object() || !record.contains("step") ||
                !record["step"].is_number_integer()) {
              return std::nullopt;
            }
            return record["step"].get<int64_t>();
          }};
}

RecordFormat csv_rows(const std::string& header) {
  const auto columns = split_fields(header);
  const auto column = static_cast<size_t>(
      std::distance(columns.begin(), std::find(columns.begin(), columns.end(), "step")));
  TORCH_CHECK_VALUE(column < columns.size(), "csv_rows: no column 'step' in ", header);
  return {
      .header = header,
      .step_of = [column, count = columns.size()](std::string_view row) -> std::optional<int64_t> {
        const auto fields = split_fields(row);
        int64_t step = 0;
        if (fields.size() != count) {
          return std::nullopt;
        }
        const auto* const end = fields[column].data() + fields[column].size();
        const auto [stop, error] = std::from_chars(fields[column].data(), end, step);
        return error == std::errc() && stop == end ? std::optional(step) : std::nullopt;
      }};
}

RecordFile::Kept RecordFile::find_kept(const std::filesystem::path& path,
                                       const RecordFormat& format, int64_t step) {
  if (step == 0 || !std::filesystem::exists(path)) {
    return {};
  }
  const auto text = read_text_file(path);
  const auto header_end = end_of_header(path, text, format.header);
  if (!header_end) {
    return {};
  }
  Kept kept{.bytes = static_cast<int64_t>(*header_end)};
  bool is_cut = false;
  int64_t line_number = format.header.empty() ? 1 : 2;
  size_t start = *header_end;
  for (size_t end = text.find('\n', start); end != std::string::npos;
       end = text.find('\n', start)) {
    const auto record_step = format.step_of(std::string_view(text).substr(start, end - start));
    if (!record_step || *record_step > step) {
      is_cut = true;
    } else if (is_cut || *record_step < kept.last_step) {
      throw InputError(
          path.string() + " line " + std::to_string(line_number),
          "records in the order of their steps",
          "step " + std::to_string(*record_step) + " after a line that is newer or no record");
    } else {
      kept = {.bytes = static_cast<int64_t>(end + 1),
              .last_start = static_cast<int64_t>(start),
              .last_step = *record_step};
    }
    start = end + 1;
    ++line_number;
  }
  return kept;
}

RecordFile::RecordFile(const std::filesystem::path& path, const RecordFormat& format, int64_t step)
    : RecordFile(path, format, find_kept(path, format, step)) {}

RecordFile::RecordFile(const std::filesystem::path& path, const RecordFormat& format,
                       const Kept& kept)
    : file_(path, kept.bytes), last_start_(kept.last_start), last_step_(kept.last_step) {
  if (file_.size() == 0 && !format.header.empty()) {
    file_.append(format.header + "\n");
  }
}

void RecordFile::append(int64_t step, const std::string& line) {
  TORCH_CHECK_VALUE(step >= std::max<int64_t>(0, last_step_), file_.path().string(),
                    ": a record of step ", step, " after one of step ", last_step_);
  TORCH_CHECK_VALUE(line.find('\n') == std::string::npos, file_.path().string(),
                    ": a record of several lines");
  const int64_t start = file_.size();
  file_.append(line + "\n");
  last_start_ = start;
  last_step_ = step;
}

void RecordFile::put(int64_t step, const std::string& line) {
  if (step == last_step_) {
    file_.cut(last_start_);
  }
  append(step, line);
}

}  // namespace softmoe
