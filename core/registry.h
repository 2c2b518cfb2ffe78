#pragma once
/// Registries are explicit tables: one row per member, each row with a `name`.

#include <span>
#include <string>
#include <string_view>

#include "core/error.h"

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

/// The row called `name`; throws UsageError that lists the known names. `kind` says what the rows
/// are ("router", "optimizer").
template <typename Row>
const Row& find_row(std::span<const Row> rows, std::string_view name, const std::string& kind) {
  for (const auto& row : rows) {
    if (row.name == name) {
      return row;
    }
  }
  throw UsageError(kind, "one of " + known_names(rows), "'" + std::string(name) + "'");
}

}  // namespace softmoe
