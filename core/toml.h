#pragma once
/// TOML files as JSON values, through the library toml++.

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/json_text.h"

namespace softmoe {

/// A key of the top level of a TOML file.
struct TomlEntry {
  std::string name;
  Json value;        ///< a table is an object, its keys sorted; dates and times are texts
  int64_t line = 0;  ///< from 1
  std::map<std::string, int64_t> key_lines = {};  ///< of a table: the line of each key in it
};

/// The keys of `text`, in the order of their lines. Throws InputError that names `where` and the
/// line if it is not TOML.
std::vector<TomlEntry> parse_toml(const std::string& text, const std::string& where);

/// `name = value` and a line break, which parse_toml() reads back unchanged. A text that is not
/// UTF-8, which TOML cannot hold, becomes a table of its bytes: `{ hex = "636166e9" }`.
std::string toml_line(const std::string& name, const Json& value);

}  // namespace softmoe
