#pragma once
/// Lists of image files with labels: tables (CSV, TSV) and JSON lines.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_text.h"

namespace softmoe {

/// How labels are written.
struct LabelFormat {
  bool multi_label = false;     ///< any number of labels, or none
  std::string separator = ";";  ///< of several labels in one text
};

/// Which columns of a table, or keys of JSON objects, hold what. Empty: the usual names.
struct ManifestColumns {
  std::string path;
  std::string label;
  LabelFormat labels = {};
  std::string caption = {};
  /// Captions are read if there is a column of them, and then labels may be missing.
  bool captions = false;
};

/// A row of a manifest. The texts are as they are written.
struct ManifestRow {
  int64_t row = 0;  ///< counted from 1; a table's header is row 1
  std::string path;
  std::vector<std::string> labels;  ///< one, unless LabelFormat::multi_label; none without labels
  std::string split;                ///< empty: not said
  std::string caption = {};         ///< if ManifestColumns::captions
};

/// The usual names of the column or key of labels; the first that is there counts.
std::span<const char* const> usual_label_names();

/// The usual names of the column or key of captions; the first that is there counts.
std::span<const char* const> usual_caption_names();

/// A text or integer of a JSON object; "" if it is not there or null. Throws InputError that begins
/// with `where` for other values.
std::string field_text(const Json& object, const std::string& key, const std::string& where);

/// The labels in `text`, without the spaces around them.
std::vector<std::string> split_labels(const std::string& text, const LabelFormat& format);
/// The labels of a JSON object: what field_text() returns, or of a multi-label set a list of such
/// values, or a text in which they are separated. Throws InputError that begins with `where`.
std::vector<std::string> field_labels(const Json& object, const std::string& key,
                                      const LabelFormat& format, const std::string& where);

/// Returns true if `path` ends as manifests do: .csv, .tsv, .jsonl, .ndjson.
bool is_manifest_name(const std::filesystem::path& path);

/// Calls visit(row) for each row of a manifest, whose kind its name says. The usual names of
/// columns are those of Hugging Face (`file_name`, `label`) and others (`path`, `image`, `class`,
/// ...); a column `split` says the row's split. Throws InputError that names the file and the row:
/// columns that are missing, rows of another length, an empty path or label, what is no text or
/// integer.
void read_manifest(const std::filesystem::path& path, const ManifestColumns& columns,
                   const std::function<void(const ManifestRow& row)>& visit);

}  // namespace softmoe
