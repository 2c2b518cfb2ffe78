#pragma once
/// Registries are explicit tables: one row per member, each row with a `name`.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/nearest_name.h"

namespace softmoe {

/// The names of `rows`, joined by ", ".
template <typename Row>
std::string known_names(std::span<const Row> rows) {
  std::string names;
  for (const auto& row : rows) {
    if (!names.empty()) {
      names += ", ";
    }
    names += row.name;
  }
  return names;
}

/// The row called `name`; throws UsageError that lists the known names
/// and the nearest one. `kind` says what the rows
/// are ("router", "optimizer").
template <typename Row>
const Row& find_row(std::span<const Row> rows, std::string_view name, const std::string& kind) {
  for (const auto& row : rows) {
    if (row.name == name) {
      return row;
    }
  }
  std::vector<std::string> names;
  for (const auto& row : rows) {
    names.emplace_back(row.name);
  }
  throw UsageError(kind, "one of " + known_names(rows),
                   "'" + printable_text(name) + "'" + did_you_mean(std::string(name), names));
}

}  // namespace softmoe
