#include "core/toml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>
#include <string_view>

// Numbers are written by the shortest text that reads back as the same number.
#define TOML_FLOAT_CHARCONV 1
// Some damaged texts, such as a date of "2026-11-29Tx", meet an assertion of toml++ 3.3 before the
// check that refuses them.
#define TOML_ASSERT(condition) static_cast<void>(0)
// Tables are converted and freed recursively.
#define TOML_MAX_NESTED_VALUES 64
#include <toml++/toml.h>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr std::string_view kHexKey = "hex";

std::string to_hex(std::string_view bytes) {
  std::string digits;
  for (const unsigned char byte : bytes) {
    digits += fmt::format("{:02x}", byte);
  }
  return digits;
}

/// The bytes that pairs of hexadecimal digits stand for; std::nullopt for any other text.
std::optional<std::string> from_hex(std::string_view digits) {
  std::string bytes;
  if (digits.size() % 2 != 0) {
    return std::nullopt;
  }
  for (size_t i = 0; i < digits.size(); i += 2) {
    unsigned value = 0;
    const auto* const end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, value, 16).ptr != end) {
      return std::nullopt;
    }
    bytes += static_cast<char>(value);
  }
  return bytes;
}

Json json_of(const toml::node& node);

Json json_of_table(const toml::table& table) {
  if (table.size() == 1 && table.contains(kHexKey)) {
    const auto digits = table[kHexKey].value<std::string>();
    if (auto bytes = digits ? from_hex(*digits) : std::nullopt) {
      return std::move(*bytes);
    }
  }
  Json object = Json::object();
  for (const auto& [key, value] : table) {
    object[std::string(key.str())] = json_of(value);
  }
  return object;
}

Json json_of_array(const toml::array& array) {
  Json items = Json::array();
  for (const auto& item : array) {
    items.push_back(json_of(item));
  }
  return items;
}

template <typename T>
Json json_of_value(const T& value) {
  if constexpr (toml::is_date<T> || toml::is_time<T> || toml::is_date_time<T>) {
    std::ostringstream text;
    text << value.get();
    return text.str();
  } else {
    return value.get();
  }
}

Json json_of(const toml::node& node) {
  return node.visit([](const auto& value) -> Json {
    using Node = std::remove_cvref_t<decltype(value)>;
    if constexpr (toml::is_table<Node>) {
      return json_of_table(value);
    } else if constexpr (toml::is_array<Node>) {
      return json_of_array(value);
    } else {
      return json_of_value(value);
    }
  });
}

/// A scalar as toml++ writes it.
template <typename T>
std::string scalar_text(const T& scalar) {
  const toml::value<T> value(scalar);
  std::ostringstream text;
  // Without the flags for multi-line strings, literal strings and the like.
  text << toml::toml_formatter(value, toml::format_flags::allow_unicode_strings);
  return text.str();
}

/// A key, with quotes if it needs them. toml++ 3.3 does not write keys that hold quotes themselves.
std::string key_text(const std::string& name) {
  const auto is_bare = [](unsigned char letter) {
    return letter < 128 && (std::isalnum(letter) != 0 || letter == '_' || letter == '-');
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_bare) ? name : scalar_text(name);
}

std::string value_text(const Json& value) {
  std::vector<std::string> parts;
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      parts.push_back(key_text(key) + " = " + value_text(item));
    }
    return parts.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(parts, ", "));
  }
  if (value.is_array()) {
    for (const auto& item : value) {
      parts.push_back(value_text(item));
    }
    return parts.empty() ? "[]" : fmt::format("[ {} ]", fmt::join(parts, ", "));
  }
  if (value.is_boolean()) {
    return value.get<bool>() ? "true" : "false";
  }
  if (value.is_number_integer()) {
    return scalar_text(value.get<int64_t>());
  }
  if (value.is_number()) {
    return scalar_text(value.get<double>());
  }
  const auto text = value.is_string() ? value.get<std::string>() : json_text(value);
  return valid_utf8(text) == text ? scalar_text(text) : value_text(Json{{kHexKey, to_hex(text)}});
}

/// Where a text ends that begins at `begin` with a quote of TOML, past the quote that closes it.
size_t end_of_quoted(std::string_view text, size_t begin) {
  const char quote = text[begin];
  const std::string three(3, quote);
  const bool has_lines = text.substr(begin).starts_with(three);
  size_t at = begin + (has_lines ? 3 : 1);
  while (at < text.size()) {
    if (text[at] == '\\' && quote == '"') {
      at += 2;
    } else if (has_lines && text.substr(at).starts_with(three)) {
      return text.find_first_not_of(quote, at);
    } else if (!has_lines && (text[at] == quote || text[at] == '\n')) {
      return at + 1;
    } else {
      ++at;
    }
  }
  return text.size();
}

/// The line of the first key that has more than `max_parts` parts with dots between them, or
/// nothing. toml++ takes any number and frees the tables that they make recursively.
std::optional<int64_t> line_of_long_key(std::string_view text, int64_t max_parts) {
  int64_t dots = 0;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = std::min(end_of_quoted(text, at), text.size());
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    constexpr std::string_view kBetweenKeys = "=,{}[]\n";
    dots = c == '.' ? dots + 1 : kBetweenKeys.find(c) == kBetweenKeys.npos ? dots : 0;
    if (dots >= max_parts) {
      return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    }
    ++at;
  }
  return std::nullopt;
}

/// The line of each key of `node`; none if it is no table.
std::map<std::string, int64_t> lines_of_keys(const toml::node& node) {
  std::map<std::string, int64_t> lines;
  if (const auto* const table = node.as_table()) {
    for (const auto& [key, value] : *table) {
      lines[std::string(key.str())] = static_cast<int64_t>(key.source().begin.line);
    }
  }
  return lines;
}

std::string line_of(const std::string& text, int64_t number) {
  std::istringstream lines(text);
  std::string line;
  while (number-- > 0 && std::getline(lines, line)) {
  }
  return line;
}

}  // namespace

std::vector<TomlEntry> parse_toml(const std::string& text, const std::string& where) {
  constexpr int64_t kMaxKeyParts = 32;
  if (const auto line = line_of_long_key(text, kMaxKeyParts)) {
    throw InputError(
        fmt::format("{}: line {}: a key of more than {} parts", where, *line, kMaxKeyParts));
  }
  std::vector<TomlEntry> entries;
  try {
    for (const auto& [key, value] : toml::parse(text)) {
      entries.push_back({.name = std::string(key.str()),
                         .value = json_of(value),
                         .line = static_cast<int64_t>(key.source().begin.line),
                         .key_lines = lines_of_keys(value)});
    }
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    throw InputError(fmt::format("{}: line {}: {}: '{}'", where, line,
                                 printable_text(error.description()),
                                 printable_text(line_of(text, static_cast<int64_t>(line)))));
  }
  std::stable_sort(
      entries.begin(), entries.end(),
      [](const TomlEntry& first, const TomlEntry& second) { return first.line < second.line; });
  return entries;
}

std::string toml_line(const std::string& name, const Json& value) {
  return key_text(name) + " = " + value_text(value) + "\n";
}

}  // namespace softmoe
