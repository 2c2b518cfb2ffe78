#pragma once
/// Files with one record per line, which can be cut back to a step of the run.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "io/append_file.h"

namespace softmoe {

/// How the lines of a record file are read.
struct RecordFormat {
  std::string header;  ///< first line, without its line break; empty: none
  /// The step of the record in a line; nothing if the line is no record.
  std::function<std::optional<int64_t>(std::string_view line)> step_of;
};

/// JSON objects with an integer "step".
RecordFormat json_lines();
/// Rows of as many fields as `header` has, one of which is "step".
RecordFormat csv_rows(const std::string& header);

/// An open file of records whose steps never decrease. Failures are InputErrors naming the file.
class RecordFile {
 public:
  /// Opens `path`, or makes it, and cuts off the records after `step` and an incomplete last line;
  /// 0 cuts off everything. Throws if the file has another header, or if a record up to `step`
  /// follows one that is newer or unreadable.
  RecordFile(const std::filesystem::path& path, const RecordFormat& format, int64_t step);

  /// Appends a line, given without its line break.
  void append(int64_t step, const std::string& line);
  /// Appends a line, or replaces the last line if that has this step.
  void put(int64_t step, const std::string& line);
  /// Returns when everything is on the disk.
  void sync() { file_.sync(); }

 private:
  /// The part of a file that stays.
  struct Kept {
    int64_t bytes = 0;
    int64_t last_start = 0;  ///< of the last record
    int64_t last_step = -1;
  };

  static Kept find_kept(const std::filesystem::path& path, const RecordFormat& format,
                        int64_t step);
  RecordFile(const std::filesystem::path& path, const RecordFormat& format, const Kept& kept);

  AppendFile file_;
  int64_t last_start_ = 0;
  int64_t last_step_ = -1;
};

}  // namespace softmoe
