#pragma once
/// Enums by name, as options, files and messages give them.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace softmoe {

/// The name of one value of an enum. Specialise `kEnumNames<E>` beside the enum.
template <typename E>
using EnumName = std::pair<E, std::string_view>;
template <typename E>
inline constexpr std::array<EnumName<E>, 0> kEnumNames{};

/// The name of an enum's value, "?" if it has none.
template <typename E>
std::string enum_name(E value) {
  for (const auto& [candidate, name] : kEnumNames<E>) {
    if (candidate == value) {
      return std::string(name);
    }
  }
  return "?";
}

/// The names of all values of an enum.
template <typename E>
std::vector<std::string> enum_names() {
  std::vector<std::string> names;
  for (const auto& [value, name] : kEnumNames<E>) {
    names.emplace_back(name);
  }
  return names;
}

/// The value of an enum that is called `name`, or nothing.
template <typename E>
std::optional<E> enum_value(std::string_view name) {
  for (const auto& [value, candidate] : kEnumNames<E>) {
    if (candidate == name) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace softmoe
