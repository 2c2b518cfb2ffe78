#include "datasets/sources/manifest_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.h"
#include "core/lower_case.h"
#include "core/name_list.h"
#include "core/split_text.h"
#include "datasets/sources/csv_reader.h"
#include "io/atomic_file.h"
#include "io/bounded_json.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// The usual names of a column; the first that is there counts.
constexpr std::array kPathNames{"file_name", "path",       "filepath", "file_path", "image_path",
                                "image",     "image_file", "filename", "file"};
constexpr std::array kLabelNames{"label", "class", "class_name", "target", "category", "cls"};
constexpr std::array kSplitNames{"split"};
constexpr std::array kCaptionNames{"caption", "text", "title", "description"};
constexpr const char* kCaptionSpaces = " \t\r\n";  // around a caption

/// A column that is looked for.
struct Column {
  std::string_view meaning;
  const std::string& chosen;  ///< empty: one of `usual`
  std::span<const char* const> usual;
  std::string_view flag;
};

std::optional<size_t> find_column(const Names& header, const Column& column) {
  const Names wanted = column.chosen.empty() ? Names(column.usual.begin(), column.usual.end())
                                             : Names{column.chosen};
  for (const auto& name : wanted) {
    const auto at = std::find_if(header.begin(), header.end(), [&](const std::string& title) {
      return title == name || (column.chosen.empty() && lower_case(title) == name);
    });
    if (at != header.end()) {
      return static_cast<size_t>(at - header.begin());
    }
  }
  return std::nullopt;
}

size_t require_column(const Names& header, const Column& column, const std::string& where) {
  if (const auto found = find_column(header, column)) {
    return *found;
  }
  throw InputError(where,
                   column.chosen.empty()
                       ? fmt::format("a column with the {} ({}, or {})", column.meaning,
                                     fmt::join(column.usual, ", "), column.flag)
                       : fmt::format("the column '{}' of {}", column.chosen, column.flag),
                   "columns " + name_list(header));
}

/// The places of the columns of a manifest.
struct Places {
  size_t path = 0;
  std::optional<size_t> label;  ///< only of captioned sets there may be none
  std::optional<size_t> split;
  std::optional<size_t> caption;
};

Places find_places(const Names& header, const ManifestColumns& columns, const std::string& where) {
  static const std::string kNone;
  const Column label{"label", columns.label, kLabelNames, "--label-column"};
  const Column caption{"caption", columns.caption, kCaptionNames, "--caption-column"};
  Places places{
      .path = require_column(header, {"path", columns.path, kPathNames, "--path-column"}, where),
      .label = {},
      .split = find_column(header, {"split", kNone, kSplitNames, ""}),
      .caption = {}};
  if (!columns.caption.empty()) {
    places.caption = require_column(header, caption, where);
  } else if (columns.captions) {
    places.caption = find_column(header, caption);
  }
  places.label = places.caption && columns.label.empty() ? find_column(header, label)
                                                         : require_column(header, label, where);
  return places;
}

/// Throws InputError if something is missing in `row`.
ManifestRow checked(ManifestRow row, const Places& places, const LabelFormat& format,
                    const std::string& where) {
  const bool has_label = format.multi_label || !places.label ||
                         (row.labels.size() == 1 && !row.labels.front().empty());
  row.caption = trimmed(row.caption, kCaptionSpaces);
  if (places.caption && row.caption.empty()) {
    throw InputError(where, "a caption", "none");
  }
  if (row.path.empty() || !has_label) {
    throw InputError(where, "a path and a label", row.path.empty() ? "no path" : "no label");
  }
  return row;
}

void read_table(const fs::path& path, const ManifestColumns& columns, char separator,
                const std::function<void(const ManifestRow& row)>& visit) {
  const auto text = read_text_file(path);
  CsvReader reader(text, separator, path.string());
  const auto header = reader.next();
  if (!header) {
    throw InputError(path.string(), "a header with the names of columns", "nothing");
  }
  const auto places = find_places(*header, columns, path.string());
  while (const auto fields = reader.next()) {
    const auto where = fmt::format("{} row {}", path.string(), reader.row());
    if (fields->size() != header->size()) {
      throw InputError(where, fmt::format("{} fields as in the header", header->size()),
                       std::to_string(fields->size()));
    }
    const auto field = [&](const std::optional<size_t>& place) {
      return place ? (*fields)[*place] : "";
    };
    visit(checked(
        {.row = reader.row(),
         .path = field(places.path),
         .labels = places.label ? split_labels(field(places.label), columns.labels) : Names(),
         .split = field(places.split),
         .caption = field(places.caption)},
        places, columns.labels, where));
  }
}

void read_json_lines(const fs::path& path, const ManifestColumns& columns,
                     const std::function<void(const ManifestRow& row)>& visit) {
  const auto content = read_text_file(path);
  std::string_view rest = content;
  std::optional<Places> places;
  Names keys;  // of the first object
  for (int64_t number = 1; !rest.empty(); ++number) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == line.npos) {
      continue;
    }
    const auto where = fmt::format("{} row {}", path.string(), number);
    const auto object = parse_json(line, where);
    if (!object.is_object()) {
      throw InputError(where, "a JSON object", object.type_name());
    }
    if (!places) {
      for (const auto& [key, value] : object.items()) {
        keys.push_back(key);
      }
      places = find_places(keys, columns, where);
    }
    const auto text = [&](const std::optional<size_t>& place) {
      return place ? field_text(object, keys[*place], where) : "";
    };
    visit(checked(
        {.row = number,
         .path = text(places->path),
         .labels = places->label ? field_labels(object, keys[*places->label], columns.labels, where)
                                 : Names(),
         .split = text(places->split),
         .caption = text(places->caption)},
        *places, columns.labels, where));
  }
}

/// A kind of manifest.
struct ManifestKind {
  std::string_view extension;
  char separator;  ///< of fields; 0: JSON lines
};
constexpr std::array kManifestKinds{ManifestKind{".csv", ','}, ManifestKind{".tsv", '\t'},
                                    ManifestKind{".jsonl", '\0'}, ManifestKind{".ndjson", '\0'}};

const ManifestKind* kind_of(const fs::path& path) {
  const auto extension = lower_case(path.extension().string());
  const auto* at = std::find_if(kManifestKinds.begin(), kManifestKinds.end(),
                                [&](const auto& kind) { return kind.extension == extension; });
  return at == kManifestKinds.end() ? nullptr : at;
}

}  // namespace

std::span<const char* const> usual_label_names() { return kLabelNames; }

std::span<const char* const> usual_caption_names() { return kCaptionNames; }

std::string field_text(const Json& object, const std::string& key, const std::string& where) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) {
    return "";
  }
  if (at->is_string()) {
    return at->get<std::string>();
  }
  if (at->is_number_integer()) {
    return at->dump();
  }
  throw InputError(where + ": '" + printable_text(key) + "'", "a text or an integer",
                   at->is_array()
                       ? "a list: each image has one label, unless --multi-label is given"
                       : at->type_name());
}

std::vector<std::string> split_labels(const std::string& text, const LabelFormat& format) {
  if (!format.multi_label) {
    return {text};
  }
  std::vector<std::string> labels;
  for (size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.size(), text.find(format.separator, begin));
    if (auto label = trimmed(text.substr(begin, end - begin), " \t\r\n"); !label.empty()) {
      labels.push_back(std::move(label));
    }
    begin = end + format.separator.size();
  }
  return labels;
}

std::vector<std::string> field_labels(const Json& object, const std::string& key,
                                      const LabelFormat& format, const std::string& where) {
  const auto at = object.find(key);
  if (!format.multi_label || at == object.end() || !at->is_array()) {
    return split_labels(field_text(object, key, where), format);
  }
  std::vector<std::string> labels;
  for (const auto& item : *at) {
    labels.push_back(field_text({{key, item}}, key, where));
    if (labels.back().empty()) {
      throw InputError(where + ": '" + printable_text(key) + "'", "labels that are not empty",
                       "an empty one");
    }
  }
  return labels;
}

bool is_manifest_name(const fs::path& path) { return kind_of(path) != nullptr; }

void read_manifest(const fs::path& path, const ManifestColumns& columns,
                   const std::function<void(const ManifestRow& row)>& visit) {
  const auto* kind = kind_of(path);
  if (kind == nullptr) {
    throw InputError(path.string(), "a manifest: .csv, .tsv, .jsonl or .ndjson", "another name");
  }
  if (kind->separator == '\0') {
    read_json_lines(path, columns, visit);
  } else {
    read_table(path, columns, kind->separator, visit);
  }
}

}  // namespace softmoe
